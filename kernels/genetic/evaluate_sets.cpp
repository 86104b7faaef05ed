#include "kernels/genetic/evaluate_sets.hpp"

#include <string>

#include "kernels/core/check.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/genetic/problem_check.hpp"

namespace sheaf::genetic {

void evaluate_sets(Context& context, const EvaluateSetsArgs& args) {
  const char* op = "evaluate_sets";
  check_problems(args.problems, op);
  check_argument(args.n_sets >= 0, op, "n_sets must not be negative, got " + std::to_string(args.n_sets));
  const int64_t total = args.problems.n_problems * args.n_sets;
  check_argument(args.sets.size == total * kMaxSize, op,
                 "sets must have n_problems * n_sets * 16 = " + std::to_string(total * kMaxSize) + " values, got " +
                     std::to_string(args.sets.size));
  check_argument(args.value.size == total && args.violation.size == total, op,
                 "value and violation must have n_problems * n_sets = " + std::to_string(total) + " values");
  if (total == 0) return;
  SHEAF_DISPATCH(context, evaluate_sets, args);
}

OpCost evaluate_sets_cost(const EvaluateSetsArgs& args) {
  const int64_t total = args.problems.n_problems * args.n_sets;
  const int64_t size = args.problems.max_size;
  return {.bytes = problem_bytes(args.problems) + total * (4 * kMaxSize + 8), .flops = total * size * (size + 3) / 2};
}

}  // namespace sheaf::genetic
