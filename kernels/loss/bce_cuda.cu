#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/reduce.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/loss/bce_row.hpp"

namespace sheaf::loss::cuda {
namespace {

constexpr int kBceBlock = 256;

// One thread a row; the block's losses become one partial sum.
__global__ void bce_kernel(BceArgs args, float scale, double* partials) {
  __shared__ double warp_sums[kBceBlock / kWarp];
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kBceBlock + threadIdx.x;
  const double loss = b < args.logits.rows ? bce_row(args, b, scale) : 0.0;
  const double total = block_sum<kBceBlock>(loss, warp_sums);
  if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

}  // namespace

void bce(Context& context, const BceArgs& args) {
  const auto n_terms = static_cast<double>(args.logits.size());
  const unsigned n_blocks = blocks_for(args.logits.rows, kBceBlock);
  ScratchScope scratch(context);
  double* partials = scratch.take<double>(n_blocks);
  launch(bce_kernel, n_blocks, kBceBlock, 0, context, args, static_cast<float>(1.0 / n_terms), partials);
  add_partials(context, partials, n_blocks, 1, true, 1.0 / n_terms, args.loss.data);
}

}  // namespace sheaf::loss::cuda
