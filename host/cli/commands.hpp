#pragma once
/// The subcommands. Each writes its result to stdout (JSON with --json) and throws the errors of
/// kernels/core/error.hpp.

#include "host/cli/options.hpp"

namespace sheaf::cli {

void run_demo(const Options& options);
void run_import(const Options& options);
void run_train(const Options& options);
void run_tune(const Options& options);
void run_associate(const Options& options);
/// With --like run_like(); for one problem of the data set run_one_problem(); else bundles of the catalog or of users.
void run_search(const Options& options);
/// One problem of the data set: solved with a bound, its front (--front), or written to a file (--write-problem).
void run_one_problem(const Options& options);
/// New bundles like those of a file.
void run_like(const Options& options);
/// A problem from a file, or with --front its front.
void run_solve(const Options& options);
/// The sets of items with the highest utility in a file of transactions.
void run_mine(const Options& options);
void run_complete(const Options& options);
void run_score(const Options& options);
void run_evaluate(const Options& options);
void run_devices(const Options& options);
void run_config(const Options& options);
/// Ends this process with sheaf_bench's exit code, or throws.
void run_bench(const Options& options);

}  // namespace sheaf::cli
