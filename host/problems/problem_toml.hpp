#pragma once
/// Whole bundle problems as TOML; the schema: host/data/README.md.

#include <filesystem>

#include "engine/optimize/pareto.hpp"
#include "engine/optimize/problem.hpp"

namespace sheaf::problems {

/// UsageError with file, line, value and mend.
BundleProblem read_problem_toml(const std::filesystem::path& path);
ParetoProblem read_pareto_toml(const std::filesystem::path& path);

}  // namespace sheaf::problems
