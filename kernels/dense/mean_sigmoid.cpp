#include "kernels/dense/mean_sigmoid.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void mean_sigmoid(Context& context, const MeanSigmoidArgs& args) {
  check_argument(args.sums.size == args.scores.cols, "dense::mean_sigmoid",
                 "sums must be [n_items], has " + std::to_string(args.sums.size) + " for " +
                     std::to_string(args.scores.cols) + " items");
  if (!args.scores.empty()) SHEAF_DISPATCH(context, mean_sigmoid, args);
}

OpCost mean_sigmoid_cost(const MeanSigmoidArgs& args) {
  return {.bytes = args.scores.size() * static_cast<int64_t>(sizeof(float)) +
                   2 * args.sums.size * static_cast<int64_t>(sizeof(double)),
          .flops = 12 * args.scores.size()};
}

}  // namespace sheaf::dense
