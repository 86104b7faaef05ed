#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/core/math.hpp"
#include "kernels/dense/mean_probability.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kMeanProbabilityBlock = 128;

// A block an item; its threads share out the users.
__global__ void mean_probability_kernel(MeanProbabilityArgs args) {
  __shared__ double warp_sums[kMeanProbabilityBlock / kWarp];
  const int64_t i = blockIdx.x;
  const float* item = args.items.row(i);
  double sum = 0;
  for (int64_t u = threadIdx.x; u < args.users.rows; u += kMeanProbabilityBlock) {
    const float* user = args.users.row(u);
    float score = 0.0f;
    for (int64_t c = 0; c < args.items.cols; ++c) score += user[c] * item[c];
    const float logit = score + (args.user_bias[u] + args.bias[0]) + args.item_bias[i];
    sum += static_cast<double>(sigmoid(args.slope * logit + args.offset));
  }
  const double total = block_sum<kMeanProbabilityBlock>(sum, warp_sums);
  if (threadIdx.x == 0) args.out[i] = static_cast<float>(total / static_cast<double>(args.users.rows));
}

}  // namespace

void mean_probability(Context& context, const MeanProbabilityArgs& args) {
  launch(mean_probability_kernel, blocks_for(args.items.rows, 1), kMeanProbabilityBlock, 0, context, args);
}

}  // namespace sheaf::dense::cuda
