#include "kernels/loss/bpr.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::loss {

void bpr(Context& context, const BprArgs& args) {
  constexpr const char* kOp = "loss::bpr";
  check_argument(args.d_logits.rows == args.logits.rows && args.d_logits.cols == args.logits.cols, kOp,
                 "d_logits must have the shape of logits");
  check_argument(args.row_weight.empty() || args.row_weight.size == args.logits.rows, kOp,
                 "row_weight must be empty or [n_batch]");
  check_argument(args.loss.size == 1 && args.loss.data, kOp, "loss must be [1]");
  if (args.logits.empty()) return;
  check_argument(args.logits.cols >= 2, kOp, "needs a positive and at least one negative a row");
  SHEAF_DISPATCH(context, bpr, args);
}

OpCost bpr_cost(const BprArgs& args) {
  return {.bytes = (2 * args.logits.size() + args.row_weight.size) * static_cast<int64_t>(sizeof(float)),
          .flops = 20 * args.logits.size()};
}

}  // namespace sheaf::loss
