#pragma once
/// A plain tiled matrix product for shapes where nothing better has been needed yet: one thread an output, tiles in shared memory,
/// sums in ascending k, the same bits on every run.

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
};

namespace detail {

constexpr int kMatmulTile = 16;

template <bool kTransposeA, bool kTransposeB>
__global__ void matmul_kernel(MatmulArgs args) {
  __shared__ float tile_a[kMatmulTile][kMatmulTile + 1];
  __shared__ float tile_b[kMatmulTile][kMatmulTile + 1];
  const int tx = static_cast<int>(threadIdx.x);
  const int ty = static_cast<int>(threadIdx.y);
  const int64_t column_tiles = (args.n + kMatmulTile - 1) / kMatmulTile;
  const int64_t row = blockIdx.x / column_tiles * kMatmulTile + ty;
  const int64_t column = blockIdx.x % column_tiles * kMatmulTile + tx;
  float sum = 0.0f;
  for (int64_t first = 0; first < args.k; first += kMatmulTile) {
    const int64_t ka = first + tx;
    const int64_t kb = first + ty;
    float a = 0.0f;
    float b = 0.0f;
    if (row < args.m && ka < args.k) a = kTransposeA ? args.a[ka * args.lda + row] : args.a[row * args.lda + ka];
    if (column < args.n && kb < args.k)
      b = kTransposeB ? args.b[column * args.ldb + kb] : args.b[kb * args.ldb + column];
    tile_a[ty][tx] = a;
    tile_b[ty][tx] = b;
    __syncthreads();
    for (int t = 0; t < kMatmulTile; ++t) sum += tile_a[ty][t] * tile_b[t][tx];
    __syncthreads();
  }
  if (row >= args.m || column >= args.n) return;
  float& out = args.out[row * args.ldo + column];
  const float bias = args.column_bias ? args.column_bias[column] : 0.0f;
  out = (args.accumulate ? out : 0.0f) + sum + bias;
}

}  // namespace detail

template <bool kTransposeA, bool kTransposeB>
void matmul(const Context& context, const MatmulArgs& args) {
  if (args.m == 0 || args.n == 0) return;
  const dim3 block(detail::kMatmulTile, detail::kMatmulTile);
  // One dimension for all tiles: a grid is at most 65535 high, and rows may be items or users.
  const unsigned grid = blocks_for(args.n, detail::kMatmulTile) * blocks_for(args.m, detail::kMatmulTile);
  launch(detail::matmul_kernel<kTransposeA, kTransposeB>, grid, block, 0, context, args);
}

}  // namespace sheaf
