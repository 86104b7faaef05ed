#include "kernels/loss/full_softmax.hpp"

#include <algorithm>

#include "kernels/core/check.hpp"

namespace sheaf::loss {

void full_softmax(Context& context, const FullSoftmaxArgs& args) {
  constexpr const char* kOp = "loss::full_softmax";
  const int64_t n_users = args.users.rows, n_items = args.items.rows, dim = args.users.cols;
  check_argument(args.items.cols == dim, kOp, "users and items must have the same width");
  check_argument(args.item_bias.size == n_items && args.d_item_bias.size == n_items, kOp,
                 "item_bias and d_item_bias must be [n_items]");
  check_argument(args.targets.n_rows == n_users && args.targets.n_columns == n_items, kOp,
                 "targets must be [n_users, n_items]");
  check_argument(args.d_users.rows == n_users && args.d_users.cols == dim && args.d_items.rows == n_items &&
                     args.d_items.cols == dim,
                 kOp, "gradients must have the shapes of their tables");
  check_argument(args.loss.size == 1 && args.loss.data, kOp, "loss must be [1]");
  check_argument(n_items >= 1, kOp, "needs at least one item");
  SHEAF_DISPATCH(context, full_softmax, args);
}

OpCost full_softmax_cost(const FullSoftmaxArgs& args) {
  constexpr auto kFloat = static_cast<int64_t>(sizeof(float));
  return {.bytes =
              kFloat * (2 * args.users.size() + 2 * args.items.size() + 2 * args.item_bias.size + 2 * args.targets.nnz),
          .flops = 6 * args.users.rows * args.items.rows * args.users.cols};
}

int64_t full_softmax_block(const FullSoftmaxArgs& args) {
  const int64_t n_scores = args.score_bytes / static_cast<int64_t>(sizeof(float));
  return std::clamp<int64_t>(n_scores / args.items.rows, 1, std::max<int64_t>(args.users.rows, 1));
}

int64_t full_softmax_scratch(const Context& context, const FullSoftmaxArgs& args) {
  if (context.on_cpu()) return cpu::full_softmax_scratch(context.n_threads(), args);
  return full_softmax_block(args) * args.items.rows * static_cast<int64_t>(sizeof(float)) +
         args.users.rows * static_cast<int64_t>(sizeof(double));
}

}  // namespace sheaf::loss
