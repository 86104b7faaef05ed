#include "kernels/dense/gather_scores.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void gather_scores(Context& context, const GatherScoresArgs& args) {
  constexpr const char* kOp = "dense::gather_scores";
  check_argument(args.items.rows == args.scores.rows, kOp, "items must have a row for each row of scores");
  check_argument(args.out.rows == args.items.rows && args.out.cols == args.items.cols, kOp,
                 "out must be as large as items");
  if (!args.out.empty()) SHEAF_DISPATCH(context, gather_scores, args);
}

OpCost gather_scores_cost(const GatherScoresArgs& args) {
  return {.bytes = 3 * args.out.size() * static_cast<int64_t>(sizeof(float)), .flops = 0};
}

}  // namespace sheaf::dense
