#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/dense/mean_sigmoid.hpp"

namespace sheaf::dense::cpu {

void mean_sigmoid(Context& context, const MeanSigmoidArgs& args) {
  const float slope = args.slope, offset = args.offset;
  constexpr int64_t kTile =
      512;  // items that are summed together: half a page of a row, their sums stay in the first cache
  parallel_for(context, args.scores.cols, kTile, [&](int64_t begin, int64_t end) {
    double sums[kTile] = {};
    for (int64_t r = 0; r < args.scores.rows; ++r) {
      const float* scores = args.scores.row(r);
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        sums[i - begin] += static_cast<double>(vectorizable_sigmoid(slope * scores[i] + offset));
      }
    }
    for (int64_t i = begin; i < end; ++i) args.sums[i] += args.weight * sums[i - begin];
  });
}

}  // namespace sheaf::dense::cpu
