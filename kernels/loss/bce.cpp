#include "kernels/loss/bce.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::loss {

void bce(Context& context, const BceArgs& args) {
  constexpr const char* kOp = "loss::bce";
  check_argument(args.d_logits.rows == args.logits.rows && args.d_logits.cols == args.logits.cols, kOp,
                 "d_logits must have the shape of logits");
  check_argument(args.row_weight.empty() || args.row_weight.size == args.logits.rows, kOp,
                 "row_weight must be empty or [n_batch]");
  check_argument(args.loss.size == 1 && args.loss.data, kOp, "loss must be [1]");
  if (args.logits.empty()) return;
  SHEAF_DISPATCH(context, bce, args);
}

OpCost bce_cost(const BceArgs& args) {
  return {.bytes = (2 * args.logits.size() + args.row_weight.size) * static_cast<int64_t>(sizeof(float)),
          .flops = 20 * args.logits.size()};
}

}  // namespace sheaf::loss
