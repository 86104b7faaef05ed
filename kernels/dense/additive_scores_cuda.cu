#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/reduce.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/dense/additive_scores.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kAdditiveScoresBlock = 256;
constexpr int64_t kAdditiveScoresRows = 64;  // batch entries a partial sum

// One warp a logit.
__global__ void additive_scores_kernel(AdditiveScoresArgs args) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kAdditiveScoresBlock + threadIdx.x) / kWarp;
  if (i >= args.logits.size()) return;
  const int lane = threadIdx.x % kWarp;
  const int64_t b = i / args.logits.cols;
  float sum = 0.0f;
  for (int64_t c = lane; c < args.users.cols; c += kWarp) {
    sum += args.w_user[c] * args.users(b, c) + args.w_item[c] * args.items(i, c);
  }
  sum = warp_sum(sum);
  if (lane == 0) args.logits.data[i] = sum + args.bias[0];
}

// One block kAdditiveScoresRows batch entries, threads over the columns: row gradients, and the block's partial weight
// gradients
// partials[block, 2 * dim + 1] = d_w_user, d_w_item, d_bias.
__global__ void additive_backward_kernel(AdditiveScoresBackwardArgs args, float* partials) {
  const int64_t group = args.d_logits.cols;
  const int64_t dim = args.users.cols;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kAdditiveScoresRows;
  const int64_t last =
      first + kAdditiveScoresRows < args.d_logits.rows ? first + kAdditiveScoresRows : args.d_logits.rows;
  float* partial = partials + static_cast<int64_t>(blockIdx.x) * (2 * dim + 1);
  for (int64_t c = threadIdx.x; c < dim; c += kAdditiveScoresBlock) {
    float d_w_user = 0.0f, d_w_item = 0.0f;
    for (int64_t b = first; b < last; ++b) {
      float sum = 0.0f;
      for (int64_t g = 0; g < group; ++g) {
        const float d = args.d_logits(b, g);
        sum += d;
        d_w_item += d * args.items(b * group + g, c);
        args.d_items(b * group + g, c) = d * args.w_item[c];
      }
      d_w_user += sum * args.users(b, c);
      args.d_users(b, c) = sum * args.w_user[c];
    }
    partial[c] = d_w_user;
    partial[dim + c] = d_w_item;
  }
  if (threadIdx.x == 0) {
    float total = 0.0f;
    for (int64_t i = first * group; i < last * group; ++i) total += args.d_logits.data[i];
    partial[2 * dim] = total;
  }
}

// Splits the summed row [2 * dim + 1] into its three outputs.
__global__ void split_sums_kernel(const float* sums, AdditiveScoresBackwardArgs args) {
  const int64_t dim = args.users.cols;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kAdditiveScoresBlock + threadIdx.x;
  if (c < dim) {
    args.d_w_user[c] = sums[c];
    args.d_w_item[c] = sums[dim + c];
  }
  if (c == 0) args.d_bias[0] = sums[2 * dim];
}

}  // namespace

void additive_scores(Context& context, const AdditiveScoresArgs& args) {
  launch(additive_scores_kernel, blocks_for(args.logits.size(), kAdditiveScoresBlock / kWarp), kAdditiveScoresBlock, 0,
         context, args);
}

void additive_scores_backward(Context& context, const AdditiveScoresBackwardArgs& args) {
  const int64_t width = 2 * args.users.cols + 1;
  const unsigned n_blocks = blocks_for(args.d_logits.rows, kAdditiveScoresRows);
  ScratchScope scratch(context);
  float* partials = scratch.take<float>(n_blocks * width);
  float* sums = scratch.take<float>(width);
  launch(additive_backward_kernel, n_blocks, kAdditiveScoresBlock, 0, context, args, partials);
  add_partials(context, partials, n_blocks, width, false, 1.0, sums);
  launch(split_sums_kernel, blocks_for(args.users.cols, kAdditiveScoresBlock), kAdditiveScoresBlock, 0, context, sums,
         args);
}

}  // namespace sheaf::dense::cuda
