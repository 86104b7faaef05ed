#include "kernels/core/math.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/dense/mean_sigmoid.hpp"

namespace sheaf::dense::cpu {

void mean_sigmoid(Context& context, const MeanSigmoidArgs& args) {
  constexpr int64_t kTile = 64;  // items that are summed together, whole cache lines of a row
  parallel_for(context, args.scores.cols, kTile, [&](int64_t begin, int64_t end) {
    double sums[kTile] = {};
    for (int64_t r = 0; r < args.scores.rows; ++r) {
      const float* scores = args.scores.row(r);
      for (int64_t i = begin; i < end; ++i) {
        sums[i - begin] += static_cast<double>(sigmoid(args.slope * scores[i] + args.offset));
      }
    }
    for (int64_t i = begin; i < end; ++i) args.sums[i] += args.weight * sums[i - begin];
  });
}

}  // namespace sheaf::dense::cpu
