#pragma once
/// Bundle problems from files. The formats: host/data/README.md.

#include <filesystem>
#include <string>

#include "engine/optimize/pareto.hpp"
#include "engine/optimize/problem.hpp"

namespace sheaf::problems {

/// A problem that is maximised, and how to say its values in the file's own sense.
struct ProblemFile {
  BundleProblem problem;
  int32_t first = 0;  // how the file numbers its first candidate
  double sign = 1.0;  // -1: the file asks for a minimum; its value is -1 times the problem's
};

enum class ProblemFormat { toml, qkp, qubo };

/// UsageError with the names for an unknown one.
ProblemFormat problem_format(const std::string& name);
/// By the file's ending (.toml, .qkp, .qubo, before .gz too), else by how its text begins: `p qubo` is QUBO, a name and
/// then a number QKP, everything else TOML. UsageError for a file that begins with a number: it is QKP or QUBO.
ProblemFormat problem_format_of(const std::filesystem::path& path);

/// `maximize` is for QUBO files alone, which are minimised otherwise. DataError with file, line, value and mend.
ProblemFile read_problem(const std::filesystem::path& path, ProblemFormat format, bool maximize);

/// A problem of several objectives, TOML. DataError likewise.
ParetoProblem read_pareto(const std::filesystem::path& path);

}  // namespace sheaf::problems
