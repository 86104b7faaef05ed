#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/core/score_tile.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/dense/mean_probability.hpp"

namespace sheaf::dense::cpu {

void mean_probability(Context& context, const MeanProbabilityArgs& args) {
  const int64_t dim = args.items.cols, tile_size = std::max<int64_t>(dim, 1) * kScoreTile;
  const float* item_bias = args.item_bias.data;
  const float slope = args.slope, offset = args.offset;
  ScratchScope scratch(context);
  float* tiles = scratch.take<float>(context.n_threads() * tile_size);
  parallel_for(context, args.items.rows, kScoreTile, [&](int64_t begin, int64_t end, int thread) {
    float* packed = tiles + thread * tile_size;
    pack_tile(args.items, begin, packed);
    double sums[kScoreTile] = {};
    for (int64_t u = 0; u < args.users.rows; ++u) {
      float scores[kScoreTile];
      score_tile(args.users.row(u), packed, dim, scores);
      const float own = args.user_bias[u] + args.bias[0];
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        const float logit = scores[i - begin] + own + item_bias[i];
        sums[i - begin] += static_cast<double>(vectorizable_sigmoid(slope * logit + offset));
      }
    }
    for (int64_t i = begin; i < end; ++i)
      args.out[i] = static_cast<float>(sums[i - begin] / static_cast<double>(args.users.rows));
  });
}

}  // namespace sheaf::dense::cpu
