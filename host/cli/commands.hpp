#pragma once
/// The subcommands. Each writes its result to stdout (JSON with --json) and throws the errors of kernels/core/error.hpp.

#include "host/cli/options.hpp"

namespace sheaf::cli {

void run_demo(const Options& options);
void run_import(const Options& options);
void run_train(const Options& options);
void run_associate(const Options& options);
/// With --problem run_problem(); for one problem of a data set run_one_problem(); else the bundles of a data set.
void run_search(const Options& options);
void run_problem(const Options& options);
/// The problem is a file of transactions: --format utility.
void run_utility(const Options& options);
/// One problem built from a data set: solved with a bound, its front (--pareto), or written to a file (--write-problem).
void run_one_problem(const Options& options);
/// The problem of the file has several objectives: --pareto.
void run_pareto(const Options& options);
/// New bundles like those of a file: --like.
void run_like(const Options& options);
void run_complete(const Options& options);
void run_score(const Options& options);
void run_evaluate(const Options& options);
void run_devices(const Options& options);
void run_config(const Options& options);
/// Ends this process with sheaf_bench's exit code, or throws.
void run_bench(const Options& options);

}  // namespace sheaf::cli
