#include "kernels/dense/dot_scores.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void dot_scores(Context& context, const DotScoresArgs& args) {
  constexpr const char* kOp = "dense::dot_scores";
  const int64_t n_items = args.logits.size();
  check_argument(args.users.rows == args.logits.rows && args.items.rows == n_items, kOp,
                 "users must have a row a batch entry and items a row a logit");
  check_argument(args.users.cols == args.items.cols, kOp, "users and items differ in dim");
  check_argument(args.user_bias.size == args.logits.rows && args.item_bias.size == n_items && args.bias.size == 1, kOp,
                 "biases must be [n_batch], [n_batch * group] and [1]");
  if (n_items > 0) SHEAF_DISPATCH(context, dot_scores, args);
}

void dot_scores_backward(Context& context, const DotScoresBackwardArgs& args) {
  constexpr const char* kOp = "dense::dot_scores_backward";
  const int64_t n_items = args.d_logits.size();
  check_argument(args.users.rows == args.d_logits.rows && args.items.rows == n_items, kOp,
                 "users must have a row a batch entry and items a row a logit");
  check_argument(args.users.cols == args.items.cols && args.d_users.rows == args.users.rows &&
                     args.d_users.cols == args.users.cols && args.d_items.rows == args.items.rows &&
                     args.d_items.cols == args.items.cols,
                 kOp, "gradients must have the shapes of what they are gradients of");
  check_argument(args.d_user_bias.size == args.d_logits.rows && args.d_bias.size == 1, kOp,
                 "bias gradients must be [n_batch] and [1]");
  SHEAF_DISPATCH(context, dot_scores_backward, args);
}

OpCost dot_scores_cost(const DotScoresArgs& args) {
  const int64_t values =
      args.users.size() + args.items.size() + args.user_bias.size + args.item_bias.size + 1 + args.logits.size();
  return {.bytes = values * static_cast<int64_t>(sizeof(float)),
          .flops = 2 * args.items.size() + 3 * args.logits.size()};
}

}  // namespace sheaf::dense
