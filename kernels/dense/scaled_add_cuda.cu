#include "kernels/core/cuda/launch.cuh"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/dense/scaled_add_element.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kScaledAddBlock = 256;

// One thread an element.
__global__ void scaled_add_kernel(ScaledAddArgs args) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kScaledAddBlock + threadIdx.x;
  if (at < args.out.size()) args.out.data[at] = scaled_sum(args, at / args.out.cols, at % args.out.cols);
}

}  // namespace

void scaled_add(Context& context, const ScaledAddArgs& args) {
  launch(scaled_add_kernel, blocks_for(args.out.size(), kScaledAddBlock), kScaledAddBlock, 0, context, args);
}

}  // namespace sheaf::dense::cuda
