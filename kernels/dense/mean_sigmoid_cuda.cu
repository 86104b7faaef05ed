#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/core/math.hpp"
#include "kernels/dense/mean_sigmoid.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kMeanSigmoidWarps = 8;
constexpr int kMeanSigmoidBlock = kMeanSigmoidWarps * kWarp;

// A block has as many items as a warp has lanes, so that a warp reads neighbours of one row. Its warps take the rows in
// turn, and their sums are added in the order of the warps.
__global__ void mean_sigmoid_kernel(MeanSigmoidArgs args) {
  __shared__ double partial[kMeanSigmoidWarps][kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  double sum = 0;
  if (i < args.scores.cols) {
    for (int64_t r = warp; r < args.scores.rows; r += kMeanSigmoidWarps) {
      sum += static_cast<double>(sigmoid(args.slope * args.scores(r, i) + args.offset));
    }
  }
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || i >= args.scores.cols) return;
  for (int other = 1; other < kMeanSigmoidWarps; ++other) sum += partial[other][lane];
  args.sums[i] += args.weight * sum;
}

}  // namespace

void mean_sigmoid(Context& context, const MeanSigmoidArgs& args) {
  launch(mean_sigmoid_kernel, blocks_for(args.scores.cols, kWarp), kMeanSigmoidBlock, 0, context, args);
}

}  // namespace sheaf::dense::cuda
