#include <limits>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/dense/spd_inverse.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kPivots = 64;  // of one block, and the rows of a panel's piece
constexpr int kSide = 16;    // threads along each side of a tile
constexpr int kSpdInverseBlock = kSide * kSide;
constexpr int kSpdInverseOwn = kPivots / kSide;  // a thread's values along each side of a [kPivots, kPivots] tile
constexpr int kDepth = 16;                       // terms of a sum that stand in shared memory at a time
constexpr int kTile = 128;                       // a side of the tiles that V V^T updates
constexpr int kTileOwn = kTile / kSide;
constexpr int kMirror = 32;
constexpr int kMirrorRows = 8;

// What the kernels of one block of pivots share.
struct Step {
  MatrixView<float> t;
  int32_t* failed;
  int64_t first;    // pivot of the block
  double* inverse;  // [kPivots, kPivots], C
  float* panel;     // [kPivots, stride], V transposed; zeros at the block's own rows and beyond n
  int64_t stride;
};

// Element (r, c) of what the lower half says.
__device__ inline float& lower_half(const MatrixView<float>& t, int64_t r, int64_t c) {
  return r >= c ? t(r, c) : t(c, r);
}

// C = L^-1 of the block L L^T, by one thread block. Forward elimination in place and in registers: at pivot p, columns
// below p hold the inverse of L with a unit diagonal, the others what is left of the block. Beyond n stands the
// identity.
__global__ void __launch_bounds__(kSpdInverseBlock) pivot_block_kernel(Step step) {
  __shared__ double pivot_rows[2][kPivots];  // the next one may be written while this one is read
  __shared__ double scales[kPivots];
  if (*step.failed != 0) return;
  const int64_t n = step.t.rows;
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  double own[kSpdInverseOwn][kSpdInverseOwn];
#pragma unroll
  for (int i = 0; i < kSpdInverseOwn; ++i) {
#pragma unroll
    for (int j = 0; j < kSpdInverseOwn; ++j) {
      const int64_t r = step.first + ty + i * kSide, c = step.first + tx + j * kSide;
      own[i][j] = r < n && c < n ? static_cast<double>(lower_half(step.t, r, c)) : (r == c ? 1.0 : 0.0);
    }
  }
#pragma unroll
  for (int a = 0; a < kSpdInverseOwn; ++a) {
    for (int q = 0; q < kSide; ++q) {
      const int p = a * kSide + q;
      double* row = pivot_rows[p % 2];
      if (ty == q) {
#pragma unroll
        for (int j = 0; j < kSpdInverseOwn; ++j) row[tx + j * kSide] = own[a][j];
      }
      __syncthreads();
      const double pivot = row[p];
      if (!(pivot > 0.0 && pivot < std::numeric_limits<double>::infinity())) {
        if (threadIdx.x == 0) *step.failed = static_cast<int32_t>(1 + step.first + p);
        return;
      }
      if (threadIdx.x == 0) scales[p] = 1.0 / sqrt(pivot);
      const double inverse = 1.0 / pivot;
#pragma unroll
      for (int i = 0; i < kSpdInverseOwn; ++i) {
        const int r = ty + i * kSide;
        if (r <= p) continue;
        const double scale = row[r] * inverse;
#pragma unroll
        for (int j = 0; j < kSpdInverseOwn; ++j) {
          const int c = tx + j * kSide;
          own[i][j] = c == p ? -scale : own[i][j] - scale * row[c];
        }
      }
    }
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kSpdInverseOwn; ++i) {
#pragma unroll
    for (int j = 0; j < kSpdInverseOwn; ++j) {
      const int r = ty + i * kSide, c = tx + j * kSide;
      step.inverse[r * kPivots + c] = c < r ? own[i][j] * scales[r] : (c == r ? scales[r] : 0.0);
    }
  }
}

// Rows of T_:k, a block kPivots of them: V = T_:k C^T to the panel, V C in place of T_:k. At the block's own rows the
// identity stands in place of T_kk, so that -C^T C comes out of the same two products.
__global__ void __launch_bounds__(kSpdInverseBlock) panel_kernel(Step step) {
  __shared__ float left[kDepth][kPivots + 1];
  __shared__ double right[kDepth][kPivots + 1];
  __shared__ double v[kPivots][kPivots + 1];
  if (*step.failed != 0) return;
  const int64_t n = step.t.rows, first_row = static_cast<int64_t>(blockIdx.x) * kPivots;
  const bool is_own = first_row == step.first, below = first_row > step.first;
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  double sums[kSpdInverseOwn][kSpdInverseOwn] = {};
  for (int depth = 0; depth < kPivots; depth += kDepth) {
#pragma unroll
    for (int part = 0; part < kPivots * kDepth / kSpdInverseBlock; ++part) {
      const int at = static_cast<int>(threadIdx.x) + part * kSpdInverseBlock;
      // Neighbours in memory are neighbouring pivots below the block, and neighbouring rows above it.
      const int row = below ? at / kDepth : at % kPivots, p = below ? at % kDepth : at / kPivots;
      const int64_t r = first_row + row, c = step.first + depth + p;
      left[p][row] = is_own ? (r == c ? 1.0f : 0.0f) : (r < n && c < n ? lower_half(step.t, r, c) : 0.0f);
      right[at % kDepth][at / kDepth] = step.inverse[at / kDepth * kPivots + depth + at % kDepth];
    }
    __syncthreads();
#pragma unroll
    for (int p = 0; p < kDepth; ++p) {
#pragma unroll
      for (int i = 0; i < kSpdInverseOwn; ++i) {
        const double a = static_cast<double>(left[p][ty + i * kSide]);
#pragma unroll
        for (int j = 0; j < kSpdInverseOwn; ++j) sums[i][j] += a * right[p][tx + j * kSide];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kSpdInverseOwn; ++i) {
#pragma unroll
    for (int j = 0; j < kSpdInverseOwn; ++j) {
      v[ty + i * kSide][tx + j * kSide] = sums[i][j];
      sums[i][j] = 0.0;
    }
  }
  for (int depth = 0; depth < kPivots; depth += kDepth) {
#pragma unroll
    for (int part = 0; part < kPivots * kDepth / kSpdInverseBlock; ++part) {
      const int at = static_cast<int>(threadIdx.x) + part * kSpdInverseBlock;
      right[at / kPivots][at % kPivots] = step.inverse[depth * kPivots + at];
    }
    __syncthreads();
#pragma unroll
    for (int q = 0; q < kDepth; ++q) {
#pragma unroll
      for (int i = 0; i < kSpdInverseOwn; ++i) {
        const double a = v[ty + i * kSide][depth + q];
#pragma unroll
        for (int j = 0; j < kSpdInverseOwn; ++j) sums[i][j] += a * right[q][tx + j * kSide];
      }
    }
    __syncthreads();
  }
  for (int at = static_cast<int>(threadIdx.x); at < kPivots * kPivots; at += kSpdInverseBlock) {
    const int row = at % kPivots, q = at / kPivots;
    step.panel[q * step.stride + first_row + row] = is_own ? 0.0f : static_cast<float>(v[row][q]);
  }
#pragma unroll
  for (int i = 0; i < kSpdInverseOwn; ++i) {
#pragma unroll
    for (int j = 0; j < kSpdInverseOwn; ++j) {
      const int64_t r = first_row + ty + i * kSide, c = step.first + tx + j * kSide;
      if (r >= n || c >= n || (is_own && c > r)) continue;
      const auto value = static_cast<float>(sums[i][j]);
      lower_half(step.t, r, c) = is_own ? -value : value;
    }
  }
}

// T -= V V^T on and below the diagonal: a block a tile of T, a thread kTileOwn x kTileOwn of it in registers.
__global__ void __launch_bounds__(kSpdInverseBlock, 2) panel_update_kernel(Step step) {
  __shared__ __align__(16) float rows[kDepth][kTile];
  __shared__ __align__(16) float columns[kDepth][kTile];
  if (*step.failed != 0 || blockIdx.x > blockIdx.y) return;
  const int64_t n = step.t.rows;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kTile;
  const int64_t first_column = static_cast<int64_t>(blockIdx.x) * kTile;
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  float sums[kTileOwn][kTileOwn] = {};
  for (int depth = 0; depth < kPivots; depth += kDepth) {
#pragma unroll
    for (int part = 0; part < kDepth * kTile / (4 * kSpdInverseBlock); ++part) {
      const int at = 4 * (static_cast<int>(threadIdx.x) + part * kSpdInverseBlock);
      const int q = at / kTile, i = at % kTile;
      const float* from = step.panel + (depth + q) * step.stride + i;
      *reinterpret_cast<float4*>(&rows[q][i]) = *reinterpret_cast<const float4*>(from + first_row);
      *reinterpret_cast<float4*>(&columns[q][i]) = *reinterpret_cast<const float4*>(from + first_column);
    }
    __syncthreads();
#pragma unroll
    for (int q = 0; q < kDepth; ++q) {
      // Rows are one value for the warp's half; columns are kSide apart, so that loads and stores of T are contiguous.
      float a[kTileOwn], b[kTileOwn];
#pragma unroll
      for (int i = 0; i < kTileOwn; i += 4) {
        const float4 four = *reinterpret_cast<const float4*>(&rows[q][ty * kTileOwn + i]);
        a[i] = four.x, a[i + 1] = four.y, a[i + 2] = four.z, a[i + 3] = four.w;
      }
#pragma unroll
      for (int j = 0; j < kTileOwn; ++j) b[j] = columns[q][tx + j * kSide];
#pragma unroll
      for (int i = 0; i < kTileOwn; ++i) {
#pragma unroll
        for (int j = 0; j < kTileOwn; ++j) sums[i][j] += a[i] * b[j];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kTileOwn; ++i) {
    const int64_t r = first_row + ty * kTileOwn + i;
    if (r >= n) return;
    const int64_t left = r - (first_column + tx);  // columns from the thread's first to the diagonal
    float* own = step.t.row(r) + first_column + tx;
#pragma unroll
    for (int j = 0; j < kTileOwn; ++j) {
      if (j * kSide <= left) own[j * kSide] -= sums[i][j];
    }
  }
}

// T becomes -T, and its lower half is copied to the upper one.
__global__ void __launch_bounds__(kMirror* kMirrorRows) mirror_kernel(Step step) {
  __shared__ float tile[kMirror][kMirror + 1];
  if (*step.failed != 0 || blockIdx.x > blockIdx.y) return;
  const int64_t n = step.t.rows;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kMirror;
  const int64_t first_column = static_cast<int64_t>(blockIdx.x) * kMirror;
  const int x = static_cast<int>(threadIdx.x) % kMirror;
  for (int y = static_cast<int>(threadIdx.x) / kMirror; y < kMirror; y += kMirrorRows) {
    const int64_t r = first_row + y, c = first_column + x;
    tile[y][x] = r < n && c <= r ? -step.t(r, c) : 0.0f;
  }
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.x) / kMirror; y < kMirror; y += kMirrorRows) {
    const int64_t r = first_row + y, c = first_column + x;
    if (r < n && c <= r) step.t(r, c) = tile[y][x];
    const int64_t upper_row = first_column + y, upper_column = first_row + x;
    if (upper_column < n && upper_row < upper_column) step.t(upper_row, upper_column) = tile[x][y];
  }
}

}  // namespace

void spd_inverse(Context& context, const SpdInverseArgs& args) {
  const int64_t n = args.matrix.rows;
  const unsigned n_tiles = blocks_for(n, kTile);
  const int64_t stride = static_cast<int64_t>(n_tiles) * kTile;
  ScratchScope scratch(context);
  Step step{.t = args.matrix,
            .failed = args.failed.data,
            .first = 0,
            .inverse = scratch.take<double>(kPivots * kPivots),
            .panel = scratch.take<float>(kPivots * stride),
            .stride = stride};
  for (; step.first < n; step.first += kPivots) {
    launch(pivot_block_kernel, 1, kSpdInverseBlock, 0, context, step);
    launch(panel_kernel, blocks_for(stride, kPivots), kSpdInverseBlock, 0, context, step);
    launch(panel_update_kernel, dim3(n_tiles, n_tiles), kSpdInverseBlock, 0, context, step);
  }
  launch(mirror_kernel, dim3(blocks_for(n, kMirror), blocks_for(n, kMirror)), kMirror * kMirrorRows, 0, context, step);
}

}  // namespace sheaf::dense::cuda
