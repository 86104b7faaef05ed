#pragma once
/// A tiled matrix product in float, for the shapes of models: a block computes 64 x 64 outputs, a thread 4 x 4 of them
/// in registers, from tiles in shared memory. An output's terms are added in ascending k: the same bits on every run.

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/core/cuda/launch.cuh"

namespace sheaf {

/// out [m, n] (+)= op(a) op(b), all row-major; op(a) is [m, k], stored [k, m] when transposed, and so for b.
struct MatmulArgs {
  int64_t m, n, k;
  const float* a;
  int64_t lda;
  const float* b;
  int64_t ldb;
  float* out;
  int64_t ldo;
  const float* column_bias;  // [n] added once, or null
  bool accumulate;
  bool relu = false;  // negative results become 0
  /// Terms of one output: 0 for all. Else out is [slices, m, ldo], where slice s is the sum over k in [s k_slice, (s +
  /// 1) k_slice). This is for few outputs of many terms; the caller adds the slices.
  int64_t k_slice = 0;
};

namespace detail {

constexpr int kMatmulTile = 64;
constexpr int kMatmulDepth = 16;
constexpr int kMatmulOwn = 4;  // a thread's outputs along each side
constexpr int kMatmulSide = kMatmulTile / kMatmulOwn;
constexpr int kMatmulBlock = kMatmulSide * kMatmulSide;
constexpr int kMatmulStride = kMatmulTile + 4;  // keeps rows on 16 bytes and spreads the banks

/// A tile [kMatmulDepth, kMatmulTile] of rows `first` .. and terms `first_k` .. to shared memory; zeros beyond the
/// ends. kAlong: neighbours in memory are along k, else along the rows.
template <bool kAlong>
__device__ inline void load_matmul_tile(const float* from, int64_t stride, int64_t first, int64_t n_rows,
                                        int64_t first_k, int64_t end_k, float* tile) {
#pragma unroll
  for (int step = 0; step < kMatmulTile * kMatmulDepth / kMatmulBlock; ++step) {
    const int element = static_cast<int>(threadIdx.x) + step * kMatmulBlock;
    const int row = kAlong ? element / kMatmulDepth : element % kMatmulTile;
    const int depth = kAlong ? element % kMatmulDepth : element / kMatmulTile;
    const int64_t r = first + row, k = first_k + depth;
    tile[depth * kMatmulStride + row] = r < n_rows && k < end_k ? from[kAlong ? r * stride + k : k * stride + r] : 0.0f;
  }
}

template <bool kTransposeA, bool kTransposeB>
__global__ void __launch_bounds__(kMatmulBlock) matmul_kernel(MatmulArgs args) {
  __shared__ __align__(16) float tile_a[kMatmulDepth * kMatmulStride];
  __shared__ __align__(16) float tile_b[kMatmulDepth * kMatmulStride];
  const int tx = static_cast<int>(threadIdx.x) % kMatmulSide;
  const int ty = static_cast<int>(threadIdx.x) / kMatmulSide;
  const int64_t column_tiles = (args.n + kMatmulTile - 1) / kMatmulTile;
  const int64_t first_row = blockIdx.x / column_tiles * kMatmulTile;
  const int64_t first_column = blockIdx.x % column_tiles * kMatmulTile;
  const int64_t first_k = static_cast<int64_t>(blockIdx.y) * args.k_slice;
  const int64_t end_k = args.k_slice > 0 && first_k + args.k_slice < args.k ? first_k + args.k_slice : args.k;
  float sums[kMatmulOwn][kMatmulOwn] = {};
  for (int64_t k = first_k; k < end_k; k += kMatmulDepth) {
    load_matmul_tile<!kTransposeA>(args.a, args.lda, first_row, args.m, k, end_k, tile_a);
    load_matmul_tile<kTransposeB>(args.b, args.ldb, first_column, args.n, k, end_k, tile_b);
    __syncthreads();
#pragma unroll
    for (int t = 0; t < kMatmulDepth; ++t) {
      const float4 a = *reinterpret_cast<const float4*>(tile_a + t * kMatmulStride + ty * kMatmulOwn);
      const float4 b = *reinterpret_cast<const float4*>(tile_b + t * kMatmulStride + tx * kMatmulOwn);
      const float own_a[kMatmulOwn] = {a.x, a.y, a.z, a.w};
      const float own_b[kMatmulOwn] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int i = 0; i < kMatmulOwn; ++i) {
#pragma unroll
        for (int j = 0; j < kMatmulOwn; ++j) sums[i][j] += own_a[i] * own_b[j];
      }
    }
    __syncthreads();
  }
  float* out = args.out + static_cast<int64_t>(blockIdx.y) * args.m * args.ldo;
#pragma unroll
  for (int i = 0; i < kMatmulOwn; ++i) {
    const int64_t row = first_row + ty * kMatmulOwn + i;
    if (row >= args.m) return;
#pragma unroll
    for (int j = 0; j < kMatmulOwn; ++j) {
      const int64_t column = first_column + tx * kMatmulOwn + j;
      if (column >= args.n) break;
      float& target = out[row * args.ldo + column];
      const float value =
          (args.accumulate ? target : 0.0f) + sums[i][j] + (args.column_bias ? args.column_bias[column] : 0.0f);
      target = args.relu && value < 0.0f ? 0.0f : value;
    }
  }
}

}  // namespace detail

inline int64_t matmul_slices(const MatmulArgs& args) {
  return args.k_slice > 0 && args.k > args.k_slice ? (args.k + args.k_slice - 1) / args.k_slice : 1;
}

template <bool kTransposeA, bool kTransposeB>
void matmul(const Context& context, const MatmulArgs& args) {
  if (args.m == 0 || args.n == 0) return;
  // One dimension for all tiles: a grid is at most 65535 high, and rows may be items or users.
  const dim3 grid(blocks_for(args.n, detail::kMatmulTile) * blocks_for(args.m, detail::kMatmulTile),
                  static_cast<unsigned>(matmul_slices(args)));
  launch(detail::matmul_kernel<kTransposeA, kTransposeB>, grid, detail::kMatmulBlock, 0, context, args);
}

}  // namespace sheaf
