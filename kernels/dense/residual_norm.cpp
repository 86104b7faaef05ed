#include "kernels/dense/residual_norm.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {
namespace {

constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

template <class A, class B>
bool alike(MatrixView<A> a, MatrixView<B> b) {
  return a.rows == b.rows && a.cols == b.cols;
}

void check_dropout(const char* op, float rate, int64_t first_row) {
  check_argument(rate >= 0.0f && rate < 1.0f, op, "rate must be in [0, 1), is " + std::to_string(rate));
  check_argument(first_row >= 0, op, "first_row must not be negative");
}

}  // namespace

void residual_norm(Context& context, const ResidualNormArgs& args) {
  constexpr const char* kOp = "dense::residual_norm";
  check_dropout(kOp, args.rate, args.first_row);
  check_argument(args.x.cols > 0, kOp, "x must have at least one column");
  check_argument(args.residual.empty() || alike(args.residual, args.x), kOp, "residual must be empty or as large as x");
  check_argument(args.weight.size == args.x.cols && args.bias.size == args.x.cols, kOp,
                 "weight and bias must have one value a column of x");
  check_argument(alike(args.sum, args.x) && alike(args.normed, args.x), kOp, "sum and normed must be as large as x");
  check_argument(args.moments.rows == args.x.rows && args.moments.cols == 2, kOp, "moments must be [rows of x, 2]");
  if (args.x.empty()) return;
  SHEAF_DISPATCH(context, residual_norm, args);
}

void residual_norm_backward(Context& context, const ResidualNormBackwardArgs& args) {
  constexpr const char* kOp = "dense::residual_norm_backward";
  check_dropout(kOp, args.rate, args.first_row);
  check_argument(args.sum.cols > 0, kOp, "sum must have at least one column");
  check_argument(args.moments.rows == args.sum.rows && args.moments.cols == 2, kOp, "moments must be [rows of sum, 2]");
  check_argument(
      args.weight.size == args.sum.cols && args.d_weight.size == args.sum.cols && args.d_bias.size == args.sum.cols,
      kOp, "weight, d_weight and d_bias must have one value a column of sum");
  check_argument(alike(args.d_normed, args.sum) && alike(args.d_sum, args.sum) && alike(args.d_x, args.sum), kOp,
                 "d_normed, d_sum and d_x must be as large as sum");
  check_argument(args.d_residual.empty() || alike(args.d_residual, args.sum), kOp,
                 "d_residual must be empty or as large as sum");
  SHEAF_DISPATCH(context, residual_norm_backward, args);
}

OpCost residual_norm_cost(const ResidualNormArgs& args) {
  const int64_t inputs = args.x.size() + args.residual.size() + args.weight.size + args.bias.size;
  return {.bytes = (inputs + args.sum.size() + args.normed.size() + args.moments.size()) * kFloat,
          .flops = 9 * args.x.size()};
}

OpCost residual_norm_backward_cost(const ResidualNormBackwardArgs& args) {
  const int64_t inputs = 2 * args.sum.size() + args.moments.size() + args.weight.size + args.d_residual.size();
  const int64_t outputs = (args.d_x.data == args.d_sum.data ? 1 : 2) * args.sum.size() + 2 * args.weight.size;
  return {.bytes = (inputs + outputs) * kFloat, .flops = 16 * args.sum.size()};
}

}  // namespace sheaf::dense
