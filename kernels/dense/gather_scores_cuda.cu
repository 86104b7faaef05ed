#include "kernels/core/cuda/launch.cuh"
#include "kernels/dense/gather_scores.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kGatherScoresBlock = 256;

// One thread a result.
__global__ void gather_scores_kernel(GatherScoresArgs args) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kGatherScoresBlock + threadIdx.x;
  if (at >= args.out.size()) return;
  const int64_t item = args.items.data[at];
  const bool is_column = item >= 0 && item < args.scores.cols;
  args.out.data[at] = is_column ? args.scores(at / args.out.cols, item) : -INFINITY;
}

}  // namespace

void gather_scores(Context& context, const GatherScoresArgs& args) {
  launch(gather_scores_kernel, blocks_for(args.out.size(), kGatherScoresBlock), kGatherScoresBlock, 0, context, args);
}

}  // namespace sheaf::dense::cuda
