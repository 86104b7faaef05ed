#include "kernels/dense/mean_probability.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void mean_probability(Context& context, const MeanProbabilityArgs& args) {
  constexpr const char* kOp = "dense::mean_probability";
  check_argument(args.users.rows >= 1, kOp, "needs at least one user");
  check_argument(args.users.cols == args.items.cols, kOp, "users and items must have the same width");
  check_argument(
      args.user_bias.size == args.users.rows && args.item_bias.size == args.items.rows && args.bias.size == 1, kOp,
      "biases must be [n_users], [n_items] and [1]");
  check_argument(args.out.size == args.items.rows, kOp, "out must be [n_items]");
  if (args.items.rows > 0) SHEAF_DISPATCH(context, mean_probability, args);
}

OpCost mean_probability_cost(const MeanProbabilityArgs& args) {
  return {.bytes = static_cast<int64_t>(sizeof(float)) *
                   (args.users.size() + args.items.size() + args.users.rows + 2 * args.items.rows),
          .flops = args.users.rows * args.items.rows * (2 * args.users.cols + 12)};
}

}  // namespace sheaf::dense
