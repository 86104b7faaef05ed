#include "kernels/dense/linear.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {
namespace {

constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

}  // namespace

void linear(Context& context, const LinearArgs& args) {
  constexpr const char* kOp = "dense::linear";
  check_argument(args.weight.cols == args.x.cols, kOp,
                 "weight must have as many columns as x (" + std::to_string(args.x.cols) + "), has " +
                     std::to_string(args.weight.cols));
  check_argument(args.bias.size == args.weight.rows, kOp, "bias must have one value a row of weight");
  check_argument(args.out.rows == args.x.rows && args.out.cols == args.weight.rows, kOp,
                 "out must be [rows of x, rows of weight]");
  if (args.out.empty()) return;
  SHEAF_DISPATCH(context, linear, args);
}

void linear_backward(Context& context, const LinearBackwardArgs& args) {
  constexpr const char* kOp = "dense::linear_backward";
  check_argument(args.weight.cols == args.x.cols, kOp,
                 "weight must have as many columns as x (" + std::to_string(args.x.cols) + "), has " +
                     std::to_string(args.weight.cols));
  check_argument(args.d_out.rows == args.x.rows && args.d_out.cols == args.weight.rows, kOp,
                 "d_out must be [rows of x, rows of weight]");
  check_argument(!args.relu || (args.out.rows == args.d_out.rows && args.out.cols == args.d_out.cols), kOp,
                 "out must be as large as d_out");
  check_argument(args.d_x.rows == args.x.rows && args.d_x.cols == args.x.cols, kOp, "d_x must be as large as x");
  check_argument(args.d_weight.rows == args.weight.rows && args.d_weight.cols == args.weight.cols, kOp,
                 "d_weight must be as large as weight");
  check_argument(args.d_bias.size == args.weight.rows, kOp, "d_bias must have one value a row of weight");
  if (args.weight.rows == 0) {
    if (!args.d_x.empty()) context.fill_bytes(args.d_x.data, 0, static_cast<size_t>(args.d_x.size() * kFloat));
    return;
  }
  SHEAF_DISPATCH(context, linear_backward, args);
}

OpCost linear_cost(const LinearArgs& args) {
  return {.bytes = (args.x.size() + args.weight.size() + args.bias.size + args.out.size()) * kFloat,
          .flops = 2 * args.x.size() * args.weight.rows};
}

OpCost linear_backward_cost(const LinearBackwardArgs& args) {
  // With `relu` out is read and D written as well.
  const int64_t masks = args.relu ? 2 * args.d_out.size() : 0;
  return {.bytes = (2 * args.x.size() + 2 * args.weight.size() + args.d_bias.size + args.d_out.size() + masks) * kFloat,
          .flops = 4 * args.x.size() * args.weight.rows};
}

}  // namespace sheaf::dense
