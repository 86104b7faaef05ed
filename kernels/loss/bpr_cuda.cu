#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/reduce.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/loss/bpr_row.hpp"

namespace sheaf::loss::cuda {
namespace {

constexpr int kBprBlock = 256;

// One thread a row; the block's losses become one partial sum.
__global__ void bpr_kernel(BprArgs args, float scale, double* partials) {
  __shared__ double warp_sums[kBprBlock / kWarp];
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kBprBlock + threadIdx.x;
  const double loss = b < args.logits.rows ? bpr_row(args, b, scale) : 0.0;
  const double total = block_sum<kBprBlock>(loss, warp_sums);
  if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

}  // namespace

void bpr(Context& context, const BprArgs& args) {
  const auto n_terms = static_cast<double>(args.logits.rows * (args.logits.cols - 1));
  const unsigned n_blocks = blocks_for(args.logits.rows, kBprBlock);
  ScratchScope scratch(context);
  double* partials = scratch.take<double>(n_blocks);
  launch(bpr_kernel, n_blocks, kBprBlock, 0, context, args, static_cast<float>(1.0 / n_terms), partials);
  add_partials(context, partials, n_blocks, 1, true, 1.0 / n_terms, args.loss.data);
}

}  // namespace sheaf::loss::cuda
