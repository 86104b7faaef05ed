#include "kernels/dense/ease_weights.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void ease_weights(Context& context, const EaseWeightsArgs& args) {
  check_argument(
      args.matrix.rows == args.matrix.cols, "dense::ease_weights",
      "matrix must be square, is [" + std::to_string(args.matrix.rows) + ", " + std::to_string(args.matrix.cols) + "]");
  if (!args.matrix.empty()) SHEAF_DISPATCH(context, ease_weights, args);
}

OpCost ease_weights_cost(const EaseWeightsArgs& args) {
  return {.bytes = 2 * args.matrix.size() * static_cast<int64_t>(sizeof(float)), .flops = args.matrix.size()};
}

}  // namespace sheaf::dense
