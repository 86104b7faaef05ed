#include "kernels/dense/add_norm.hpp"

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

void add_norm(Context& context, const AddNormArgs& args) {
  constexpr const char* kOp = "dense::add_norm";
  check_dropout(kOp, args.rate, args.first_row);
  check_argument(args.x.cols > 0, kOp, "x must have at least one column");
  check_argument(args.residual.empty() || alike(args.residual, args.x), kOp, "residual must be empty or as large as x");
  check_argument(args.gain.size == args.x.cols && args.shift.size == args.x.cols, kOp,
                 "gain and shift must have one value a column of x");
  check_argument(alike(args.sum, args.x) && alike(args.normed, args.x), kOp, "sum and normed must be as large as x");
  check_argument(args.moments.rows == args.x.rows && args.moments.cols == 2, kOp, "moments must be [rows of x, 2]");
  if (args.x.empty()) return;
  SHEAF_DISPATCH(context, add_norm, args);
}

void add_norm_backward(Context& context, const AddNormBackwardArgs& args) {
  constexpr const char* kOp = "dense::add_norm_backward";
  check_dropout(kOp, args.rate, args.first_row);
  check_argument(args.sum.cols > 0, kOp, "sum must have at least one column");
  check_argument(args.moments.rows == args.sum.rows && args.moments.cols == 2, kOp, "moments must be [rows of sum, 2]");
  check_argument(
      args.gain.size == args.sum.cols && args.d_gain.size == args.sum.cols && args.d_shift.size == args.sum.cols, kOp,
      "gain, d_gain and d_shift must have one value a column of sum");
  check_argument(alike(args.d_normed, args.sum) && alike(args.d_sum, args.sum) && alike(args.d_x, args.sum), kOp,
                 "d_normed, d_sum and d_x must be as large as sum");
  check_argument(args.d_residual.empty() || alike(args.d_residual, args.sum), kOp,
                 "d_residual must be empty or as large as sum");
  SHEAF_DISPATCH(context, add_norm_backward, args);
}

OpCost add_norm_cost(const AddNormArgs& args) {
  const int64_t inputs = args.x.size() + args.residual.size() + args.gain.size + args.shift.size;
  return {.bytes = (inputs + args.sum.size() + args.normed.size() + args.moments.size()) * kFloat,
          .flops = 9 * args.x.size()};
}

OpCost add_norm_backward_cost(const AddNormBackwardArgs& args) {
  const int64_t inputs = 2 * args.sum.size() + args.moments.size() + args.gain.size + args.d_residual.size();
  const int64_t outputs = (args.d_x.data == args.d_sum.data ? 1 : 2) * args.sum.size() + 2 * args.gain.size;
  return {.bytes = (inputs + outputs) * kFloat, .flops = 16 * args.sum.size()};
}

}  // namespace sheaf::dense
