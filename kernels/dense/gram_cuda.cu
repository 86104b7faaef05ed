#include "kernels/core/cuda/launch.cuh"
#include "kernels/dense/gram.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kGramSide = 16;  // threads along each side of a tile
constexpr int kGramBlock = kGramSide * kGramSide;
constexpr int kGramOwn = 4;  // a thread's sums along each side
constexpr int kGramTile = kGramSide * kGramOwn;
constexpr int kGramDepth = 16;  // rows of x in shared memory at a time

// Sums of one piece of rows: a block a tile on or below the diagonal, a thread kGramOwn x kGramOwn of it in registers.
__global__ void __launch_bounds__(kGramBlock) gram_tile_kernel(MatrixView<const float> x, int64_t piece, double* sums) {
  __shared__ float left[kGramDepth][kGramTile];
  __shared__ float right[kGramDepth][kGramTile];
  const int64_t dim = x.cols;
  const int64_t n_tiles = (dim + kGramTile - 1) / kGramTile;
  const int64_t first_row = blockIdx.x / n_tiles * kGramTile, first_column = blockIdx.x % n_tiles * kGramTile;
  if (first_column > first_row) return;
  const int64_t begin = static_cast<int64_t>(blockIdx.y) * piece;
  const int64_t end = begin + piece < x.rows ? begin + piece : x.rows;
  const int tx = static_cast<int>(threadIdx.x) % kGramSide, ty = static_cast<int>(threadIdx.x) / kGramSide;
  double own[kGramOwn][kGramOwn] = {};
  for (int64_t first = begin; first < end; first += kGramDepth) {
#pragma unroll
    for (int part = 0; part < kGramDepth * kGramTile / kGramBlock; ++part) {
      const int at = static_cast<int>(threadIdx.x) + part * kGramBlock;
      const int depth = at / kGramTile, i = at % kGramTile;
      const int64_t r = first + depth;
      left[depth][i] = r < end && first_row + i < dim ? x(r, first_row + i) : 0.0f;
      right[depth][i] = r < end && first_column + i < dim ? x(r, first_column + i) : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (int depth = 0; depth < kGramDepth; ++depth) {
#pragma unroll
      for (int i = 0; i < kGramOwn; ++i) {
        const double a = static_cast<double>(left[depth][ty + i * kGramSide]);
#pragma unroll
        for (int j = 0; j < kGramOwn; ++j) {
          own[i][j] += a * static_cast<double>(right[depth][tx + j * kGramSide]);
        }
      }
    }
    __syncthreads();
  }
  double* sum = sums + static_cast<int64_t>(blockIdx.y) * dim * dim;
#pragma unroll
  for (int i = 0; i < kGramOwn; ++i) {
#pragma unroll
    for (int j = 0; j < kGramOwn; ++j) {
      const int64_t r = first_row + ty + i * kGramSide, c = first_column + tx + j * kGramSide;
      if (r < dim && c <= r) sum[r * dim + c] = own[i][j];
    }
  }
}

// The sums of the pieces in order, to both halves; a thread an element.
__global__ void __launch_bounds__(kGramBlock)
    gram_sum_kernel(const double* sums, int64_t n_pieces, MatrixView<double> out) {
  const int64_t dim = out.rows, at = static_cast<int64_t>(blockIdx.x) * kGramBlock + threadIdx.x;
  const int64_t r = at / dim, c = at % dim;
  if (r >= dim || c > r) return;
  double sum = 0.0;
  for (int64_t p = 0; p < n_pieces; ++p) sum += sums[p * dim * dim + at];
  out(r, c) = sum;
  out(c, r) = sum;
}

}  // namespace

void gram(Context& context, const GramArgs& args) {
  const int64_t dim = args.x.cols, piece = gram_piece(args.x.rows);
  const int64_t n_pieces = (args.x.rows + piece - 1) / piece;
  ScratchScope scratch(context);
  double* sums = scratch.take<double>(n_pieces * dim * dim);
  const unsigned n_tiles = blocks_for(dim, kGramTile);
  launch(gram_tile_kernel, dim3(n_tiles * n_tiles, static_cast<unsigned>(n_pieces)), kGramBlock, 0, context, args.x,
         piece, sums);
  launch(gram_sum_kernel, blocks_for(dim * dim, kGramBlock), kGramBlock, 0, context, sums, n_pieces, args.out);
}

}  // namespace sheaf::dense::cuda
