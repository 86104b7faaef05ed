#pragma once
/// Whole bundle problems as TOML; the schema: host/data/README.md.

#include <filesystem>

#include "engine/search/pareto.hpp"
#include "engine/search/problem.hpp"

namespace sheaf::data {

/// UsageError with file, line, value and mend.
BundleProblem read_problem_toml(const std::filesystem::path& path);
ParetoProblem read_pareto_toml(const std::filesystem::path& path);

}  // namespace sheaf::data
