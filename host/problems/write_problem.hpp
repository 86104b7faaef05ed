#pragma once
/// Writes bundle problems as TOML text that read_problem and read_pareto read back to the same numbers. Schema:
/// host/data/README.md.

#include <string>

#include "engine/optimize/pareto.hpp"
#include "engine/optimize/problem.hpp"

namespace sheaf::problems {

std::string problem_toml(const BundleProblem& problem);
std::string pareto_toml(const ParetoProblem& problem);

}  // namespace sheaf::problems
