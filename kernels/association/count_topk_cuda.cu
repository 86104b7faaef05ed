#include "kernels/association/count_topk_row.hpp"
#include "kernels/core/cuda/launch.cuh"

namespace sheaf::association::cuda {
namespace {

constexpr int kCountTopkBlock = 64;

__global__ void count_topk_row_per_thread_kernel(CountTopkArgs args) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kCountTopkBlock + threadIdx.x;
  if (i < args.item_counts.size) count_topk_row(args, i);
}

}  // namespace

void count_topk(Context& context, const CountTopkArgs& args) {
  launch(count_topk_row_per_thread_kernel, blocks_for(args.item_counts.size, kCountTopkBlock), kCountTopkBlock, 0,
         context, args);
}

}  // namespace sheaf::association::cuda
