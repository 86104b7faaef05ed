#include "kernels/core/cuda/launch.cuh"
#include "kernels/dense/dropout.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kDropoutBlock = 256;

// One thread four columns: one Philox call.
__global__ void dropout_kernel(DropoutArgs args) {
  const int64_t blocks_a_row = (args.x.cols + 3) / 4;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kDropoutBlock + threadIdx.x;
  if (i >= args.x.rows * blocks_a_row) return;
  const int64_t r = i / blocks_a_row;
  const int64_t block = i % blocks_a_row;
  const float scale = 1.0f / (1.0f - args.rate);
  const Random4 draw = random4(args.key, static_cast<uint64_t>(args.first_row + r), static_cast<uint32_t>(block));
  for (int j = 0; j < 4 && block * 4 + j < args.x.cols; ++j) {
    float& x = args.x(r, block * 4 + j);
    x = uniform01(draw.v[j]) >= args.rate ? x * scale : 0.0f;
  }
}

}  // namespace

void dropout(Context& context, const DropoutArgs& args) {
  launch(dropout_kernel, blocks_for(args.x.rows * ((args.x.cols + 3) / 4), kDropoutBlock), kDropoutBlock, 0, context,
         args);
}

}  // namespace sheaf::dense::cuda
