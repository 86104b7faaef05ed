#include "kernels/dense/convolution.hpp"

#include "kernels/core/check.hpp"
#include "kernels/dense/convolution_pool.hpp"

namespace sheaf::dense {
namespace {

constexpr auto kConvolutionFloat = static_cast<int64_t>(sizeof(float));

/// What both passes have; `pooled` is out or d_out.
template <class Args, class Pooled>
void check_convolution(const Args& args, const Pooled& pooled, const char* op, const std::string& pooled_name) {
  check_argument(args.channels > 0, op, "channels must be above 0, is " + std::to_string(args.channels));
  const auto is_sequence = [&](int64_t cols) { return cols > 0 && cols % args.channels == 0; };
  check_argument(is_sequence(args.x.cols), op,
                 "x must have a multiple of channels (" + std::to_string(args.channels) + ") columns, has " +
                     std::to_string(args.x.cols));
  check_argument(is_sequence(args.filters.cols) && args.filters.cols <= args.x.cols, op,
                 "filters must have a multiple of channels (" + std::to_string(args.channels) +
                     ") columns and at most as many as x (" + std::to_string(args.x.cols) + "), have " +
                     std::to_string(args.filters.cols));
  const ConvolutionShape shape = shape_of(args);
  check_argument(args.hidden.rows == shape.n && args.hidden.cols == shape.hidden_row(), op,
                 "hidden must be [rows of x, positions * rows of filters]");
  check_argument(pooled.rows == shape.n && args.first_column >= 0 && args.first_column + shape.n_filters <= pooled.cols,
                 op, pooled_name + " must have the rows of x and, from first_column on, a column a filter");
  const bool has_winners = args.pooling == ConvolutionPooling::max;
  check_argument(
      has_winners ? args.winner.rows == shape.n && args.winner.cols == shape.n_filters : args.winner.data == nullptr,
      op, "winner must be [rows of x, rows of filters] for max, and not be given for mean");
}

}  // namespace

void convolution(Context& context, const ConvolutionArgs& args) {
  constexpr const char* kOp = "dense::convolution";
  check_convolution(args, args.out, kOp, "out");
  check_argument(args.bias.size == args.filters.rows, kOp, "bias must have one value a row of filters");
  if (args.hidden.empty()) return;
  SHEAF_DISPATCH(context, convolution, args);
}

void convolution_backward(Context& context, const ConvolutionBackwardArgs& args) {
  constexpr const char* kOp = "dense::convolution_backward";
  check_convolution(args, args.d_out, kOp, "d_out");
  check_argument(args.d_x.rows == args.x.rows && args.d_x.cols == args.x.cols, kOp, "d_x must be as large as x");
  check_argument(args.d_filters.rows == args.filters.rows && args.d_filters.cols == args.filters.cols, kOp,
                 "d_filters must be as large as filters");
  check_argument(args.d_bias.size == args.filters.rows, kOp, "d_bias must have one value a row of filters");
  const auto clear = [&](float* data, int64_t size) {
    if (size > 0) context.fill_bytes(data, 0, static_cast<size_t>(size * kConvolutionFloat));
  };
  if (args.hidden.empty()) {
    if (!args.add_to_d_x) clear(args.d_x.data, args.d_x.size());
    clear(args.d_filters.data, args.d_filters.size());
    clear(args.d_bias.data, args.d_bias.size);
    return;
  }
  SHEAF_DISPATCH(context, convolution_backward, args);
}

OpCost convolution_cost(const ConvolutionArgs& args) {
  const int64_t pooled = args.x.rows * args.filters.rows;
  const int64_t values = args.x.size() + args.filters.size() + args.bias.size + args.hidden.size() + pooled;
  return {.bytes = values * kConvolutionFloat + args.winner.size() * static_cast<int64_t>(sizeof(int32_t)),
          .flops = 2 * args.hidden.size() * args.filters.cols};
}

OpCost convolution_backward_cost(const ConvolutionBackwardArgs& args) {
  // hidden is read and D written; what is added to is read as well.
  const int64_t pooled = args.x.rows * args.filters.rows;
  const int64_t inputs = args.x.size() + args.filters.size() + 2 * args.hidden.size() + pooled;
  const int64_t outputs = (args.add_to_d_x ? 2 : 1) * args.d_x.size() + args.filters.size() + args.filters.rows;
  return {.bytes = (inputs + outputs) * kConvolutionFloat + args.winner.size() * static_cast<int64_t>(sizeof(int32_t)),
          .flops = 4 * args.hidden.size() * args.filters.cols};
}

}  // namespace sheaf::dense
