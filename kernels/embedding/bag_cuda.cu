#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/embedding/bag.hpp"

namespace sheaf::embedding::cuda {
namespace {

constexpr int kBlock = 256;

// One warp a bag, lanes over the columns.
__global__ void bag_warp_kernel(BagArgs args) {
  const int64_t n = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) / kWarp;
  if (n >= args.ids.size) return;
  const int lane = threadIdx.x % kWarp;
  const int64_t dim = args.table.cols;
  const int32_t id = args.ids[n];
  const int64_t begin = args.bags.row_offsets[id];
  const int64_t end = args.bags.row_offsets[id + 1];
  for (int64_t c = lane; c < dim; c += kWarp) {
    float sum = 0.0f;
    for (int64_t e = begin; e < end; ++e) {
      const float weight = args.bags.values ? args.bags.values[e] : 1.0f;
      sum += weight * args.table(args.bags.columns[e], c);
    }
    args.out(n, c) = sum;
  }
}

}  // namespace

void bag(Context& context, const BagArgs& args) {
  launch(bag_warp_kernel, blocks_for(args.ids.size, kBlock / kWarp), kBlock, 0, context, args);
}

}  // namespace sheaf::embedding::cuda
