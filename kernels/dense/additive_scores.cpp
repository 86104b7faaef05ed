#include "kernels/dense/additive_scores.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void additive_scores(Context& context, const AdditiveScoresArgs& args) {
  constexpr const char* kOp = "dense::additive_scores";
  check_argument(args.users.rows == args.logits.rows && args.items.rows == args.logits.size(), kOp,
                 "users must have a row a batch entry and items a row a logit");
  check_argument(args.users.cols == args.items.cols, kOp, "users and items differ in dim");
  check_argument(args.w_user.size == args.users.cols && args.w_item.size == args.items.cols && args.bias.size == 1, kOp,
                 "weights must be [dim] and bias [1]");
  if (!args.logits.empty()) SHEAF_DISPATCH(context, additive_scores, args);
}

void additive_scores_backward(Context& context, const AdditiveScoresBackwardArgs& args) {
  constexpr const char* kOp = "dense::additive_scores_backward";
  check_argument(args.users.rows == args.d_logits.rows && args.items.rows == args.d_logits.size(), kOp,
                 "users must have a row a batch entry and items a row a logit");
  check_argument(args.users.cols == args.items.cols, kOp, "users and items differ in dim");
  check_argument(args.d_users.rows == args.users.rows && args.d_users.cols == args.users.cols &&
                     args.d_items.rows == args.items.rows && args.d_items.cols == args.items.cols &&
                     args.w_user.size == args.users.cols && args.d_w_user.size == args.users.cols &&
                     args.w_item.size == args.items.cols && args.d_w_item.size == args.items.cols &&
                     args.d_bias.size == 1,
                 kOp, "gradients must have the shapes of what they are gradients of");
  SHEAF_DISPATCH(context, additive_scores_backward, args);
}

OpCost additive_scores_cost(const AdditiveScoresArgs& args) {
  const int64_t values =
      args.users.size() + args.items.size() + args.w_user.size + args.w_item.size + 1 + args.logits.size();
  return {.bytes = values * static_cast<int64_t>(sizeof(float)), .flops = 2 * (args.users.size() + args.items.size())};
}

}  // namespace sheaf::dense
