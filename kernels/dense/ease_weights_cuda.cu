#include "kernels/core/cuda/launch.cuh"
#include "kernels/dense/ease_weights.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kEaseWeightsBlock = 128;
constexpr int kEaseWeightsRows = 16;  // of a block, so that a thread reads its column's diagonal once for so many

__global__ void negative_diagonal_kernel(MatrixView<const float> matrix, float* diagonal) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kEaseWeightsBlock + threadIdx.x;
  if (i < matrix.rows) diagonal[i] = -matrix(i, i);
}

// A thread one column of kEaseWeightsRows rows. One dimension for all blocks: a grid is at most 65535 high.
__global__ void ease_weights_kernel(MatrixView<float> matrix, const float* diagonal, int64_t column_blocks) {
  const int64_t j = static_cast<int64_t>(blockIdx.x) % column_blocks * kEaseWeightsBlock + threadIdx.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) / column_blocks * kEaseWeightsRows;
  if (j >= matrix.cols) return;
  const float own = diagonal[j];
#pragma unroll 4
  for (int64_t i = first; i < first + kEaseWeightsRows && i < matrix.rows; ++i) {
    matrix(i, j) = i == j ? 0.0f : matrix(i, j) / own;
  }
}

}  // namespace

void ease_weights(Context& context, const EaseWeightsArgs& args) {
  const int64_t n = args.matrix.rows;
  const unsigned column_blocks = blocks_for(n, kEaseWeightsBlock);
  ScratchScope scratch(context);
  float* diagonal = scratch.take<float>(n);
  launch(negative_diagonal_kernel, column_blocks, kEaseWeightsBlock, 0, context, MatrixView<const float>(args.matrix),
         diagonal);
  launch(ease_weights_kernel, column_blocks * blocks_for(n, kEaseWeightsRows), kEaseWeightsBlock, 0, context,
         args.matrix, diagonal, static_cast<int64_t>(column_blocks));
}

}  // namespace sheaf::dense::cuda
