#include "kernels/core/cuda/launch.cuh"
#include "kernels/sample/draws.hpp"

namespace sheaf::sample::cuda {
namespace {

constexpr int kBlock = 128;

__global__ void batch_kernel(BatchArgs args) {
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (b < args.batch_users.size) fill_batch_row(args, b);
}

}  // namespace

void batch(Context& context, const BatchArgs& args) {
  launch(batch_kernel, blocks_for(args.batch_users.size, kBlock), kBlock, 0, context, args);
}

}  // namespace sheaf::sample::cuda
