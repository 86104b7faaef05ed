#pragma once
/// Bundle problems as TOML text that read_problem and read_pareto read back to the same numbers; the schema: host/data/README.md.

#include <string>

#include "engine/search/pareto.hpp"
#include "engine/search/problem.hpp"

namespace sheaf::data {

std::string problem_toml(const BundleProblem& problem);
std::string pareto_toml(const ParetoProblem& problem);

}  // namespace sheaf::data
