#include "kernels/core/cuda/launch.cuh"
#include "kernels/sparse/spgemm.hpp"

namespace sheaf::sparse::cuda {
namespace {

constexpr int kSpgemmBlock = 128;

// sums[columns[x]] += weight * values[x], each with one rounding. The block's threads share out the row, whose columns
// are unique: no two threads add to one place.
__device__ void add_row(const CsrView& matrix, int64_t row, float weight, float* sums) {
  const int64_t end = matrix.row_offsets[row + 1];
  for (int64_t x = matrix.row_offsets[row] + threadIdx.x; x < end; x += kSpgemmBlock) {
    float& sum = sums[matrix.columns[x]];
    sum = fmaf(weight, matrix.values ? matrix.values[x] : 1.0f, sum);
  }
}

// A block a row. The entries of the left row follow one another with a barrier between: the order of sums is fixed.
__global__ void spgemm_row_per_block_kernel(SpgemmArgs args) {
  float* out = args.out.row(blockIdx.x);
  for (int64_t i = threadIdx.x; i < args.out.cols; i += kSpgemmBlock) {
    out[i] = args.column_bias.empty() ? 0.0f : args.column_bias[i];
  }
  __syncthreads();
  const int64_t row = args.ids[blockIdx.x];
  if (row < 0 || row >= args.left.n_rows) {
    if (args.fault && threadIdx.x == 0) {
      atomicMin(reinterpret_cast<unsigned long long*>(args.fault), static_cast<unsigned long long>(blockIdx.x));
    }
    return;
  }
  if (args.right.n_rows == 0) {
    add_row(args.left, row, 1.0f, out);
    return;
  }
  const int64_t end = args.left.row_offsets[row + 1];
  for (int64_t e = args.left.row_offsets[row]; e < end; ++e) {
    add_row(args.right, args.left.columns[e], args.left.values ? args.left.values[e] : 1.0f, out);
    __syncthreads();
  }
}

}  // namespace

void spgemm(Context& context, const SpgemmArgs& args) {
  launch(spgemm_row_per_block_kernel, blocks_for(args.ids.size, 1), kSpgemmBlock, 0, context, args);
}

}  // namespace sheaf::sparse::cuda
