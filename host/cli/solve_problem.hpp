#pragma once
/// Answers to one bundle problem on stdout, wherever it comes from.

#include <string>

#include "engine/optimize/pareto.hpp"
#include "host/cli/options.hpp"
#include "host/problems/problem_file.hpp"

namespace sheaf::cli {

/// Prints the answer, no worse than the feasible set `known`, with its bound and gap. DataError, naming `source`, if no
/// set is feasible.
void print_answer(Context& context, const problems::ProblemFile& file, const Options& options,
                  const config::Config& config, const std::vector<int32_t>& known, const std::string& source);
/// The front and its hypervolume; DataError likewise.
void print_front(Context& context, const ParetoProblem& problem, const Options& options, const std::string& source,
                 uint64_t seed);

}  // namespace sheaf::cli
