#include "kernels/core/cuda/launch.cuh"
#include "kernels/metrics/ranking_row.hpp"

namespace sheaf::metrics::cuda {
namespace {

constexpr int kRankingBlock = 128;

__global__ void ranking_kernel(RankingArgs args) {
  const int64_t u = static_cast<int64_t>(blockIdx.x) * kRankingBlock + threadIdx.x;
  if (u < args.top_items.rows) rank_user(args, u);
}

}  // namespace

void ranking(Context& context, const RankingArgs& args) {
  launch(ranking_kernel, blocks_for(args.top_items.rows, kRankingBlock), kRankingBlock, 0, context, args);
}

}  // namespace sheaf::metrics::cuda
