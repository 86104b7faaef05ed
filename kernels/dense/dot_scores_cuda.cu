#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/reduce.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/dense/dot_scores.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kDotScoresBlock = 256;

// One warp a logit.
__global__ void dot_scores_kernel(DotScoresArgs args) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kDotScoresBlock + threadIdx.x) / kWarp;
  if (i >= args.logits.size()) return;
  const int lane = threadIdx.x % kWarp;
  const int64_t b = i / args.logits.cols;
  float sum = 0.0f;
  for (int64_t c = lane; c < args.users.cols; c += kWarp) sum += args.users(b, c) * args.items(i, c);
  sum = warp_sum(sum);
  if (lane == 0) args.logits.data[i] = sum + args.user_bias[b] + args.item_bias[i] + args.bias[0];
}

// One warp a batch entry: it owns the user's gradient and those of its group.
__global__ void dot_scores_backward_kernel(DotScoresBackwardArgs args) {
  const int64_t b = (static_cast<int64_t>(blockIdx.x) * kDotScoresBlock + threadIdx.x) / kWarp;
  if (b >= args.d_logits.rows) return;
  const int lane = threadIdx.x % kWarp;
  const int64_t group = args.d_logits.cols;
  for (int64_t c = lane; c < args.users.cols; c += kWarp) {
    const float user = args.users(b, c);
    float d_user = 0.0f;
    for (int64_t g = 0; g < group; ++g) {
      const float d = args.d_logits(b, g);
      d_user += d * args.items(b * group + g, c);
      args.d_items(b * group + g, c) = d * user;
    }
    args.d_users(b, c) = d_user;
  }
  if (lane == 0) {
    float sum = 0.0f;
    for (int64_t g = 0; g < group; ++g) sum += args.d_logits(b, g);
    args.d_user_bias[b] = sum;
  }
}

}  // namespace

void dot_scores(Context& context, const DotScoresArgs& args) {
  launch(dot_scores_kernel, blocks_for(args.logits.size(), kDotScoresBlock / kWarp), kDotScoresBlock, 0, context, args);
}

void dot_scores_backward(Context& context, const DotScoresBackwardArgs& args) {
  launch(dot_scores_backward_kernel, blocks_for(args.d_logits.rows, kDotScoresBlock / kWarp), kDotScoresBlock, 0,
         context, args);
  add_partials(context, args.d_user_bias.data, args.d_user_bias.size, 1, false, 1.0, args.d_bias.data);
}

}  // namespace sheaf::dense::cuda
