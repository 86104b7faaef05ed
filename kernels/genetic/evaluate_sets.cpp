#include "kernels/genetic/evaluate_sets.hpp"

#include <algorithm>
#include <string>

#include "kernels/core/check.hpp"

namespace sheaf::genetic {

void evaluate_sets(Context& context, const EvaluateSetsArgs& args) {
  const char* op = "evaluate_sets";
  check_problems(args.problems, op);
  check_argument(args.n_sets >= 0, op, "n_sets must not be negative, got " + std::to_string(args.n_sets));
  const int64_t total = args.problems.n_problems * args.n_sets;
  check_argument(args.sets.rows == total && args.sets.cols <= kMaxCandidates, op,
                 "sets must be [n_problems * n_sets, at most 256], got [" + std::to_string(args.sets.rows) + ", " +
                     std::to_string(args.sets.cols) + "]");
  check_argument(args.value.size == total && args.violation.size == total, op,
                 "value and violation must have n_problems * n_sets = " + std::to_string(total) + " values");
  if (total == 0) return;
  SHEAF_DISPATCH(context, evaluate_sets, args);
}

/// For full sets.
OpCost evaluate_sets_cost(const EvaluateSetsArgs& args) {
  const int64_t total = args.problems.n_problems * args.n_sets, width = args.sets.cols;
  return {.bytes = problem_bytes(args.problems) + total * (4 * width + 8), .flops = total * width * (width + 1) / 2};
}

}  // namespace sheaf::genetic
