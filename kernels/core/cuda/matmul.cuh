#pragma once
/// A plain tiled matrix product for shapes where nothing better has been needed yet: one thread an output, tiles in shared memory,
/// sums in ascending k, the same bits on every run. The next tiles are copied while the present ones are multiplied.

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/core/cuda/async_copy.cuh"
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
  __shared__ float tile_a[2][kMatmulTile][kMatmulTile + 1];
  __shared__ float tile_b[2][kMatmulTile][kMatmulTile + 1];
  const int tx = static_cast<int>(threadIdx.x);
  const int ty = static_cast<int>(threadIdx.y);
  const int64_t column_tiles = (args.n + kMatmulTile - 1) / kMatmulTile;
  const int64_t row = blockIdx.x / column_tiles * kMatmulTile + ty;
  const int64_t column = blockIdx.x % column_tiles * kMatmulTile + tx;
  // 4 bytes at a time: rows of any stride and alignment.
  const auto fetch = [&](int64_t first, int stage) {
    const int64_t ka = first + tx;
    const int64_t kb = first + ty;
    const bool in_a = row < args.m && ka < args.k;
    const bool in_b = column < args.n && kb < args.k;
    const int64_t at_a = kTransposeA ? ka * args.lda + row : row * args.lda + ka;
    const int64_t at_b = kTransposeB ? column * args.ldb + kb : kb * args.ldb + column;
    async_copy<sizeof(float)>(&tile_a[stage][ty][tx], in_a ? args.a + at_a : args.a, in_a);
    async_copy<sizeof(float)>(&tile_b[stage][ty][tx], in_b ? args.b + at_b : args.b, in_b);
    async_commit();
  };
  float sum = 0.0f;
  if (args.k > 0) fetch(0, 0);
  int stage = 0;
  for (int64_t first = 0; first < args.k; first += kMatmulTile) {
    if (first + kMatmulTile < args.k) {
      fetch(first + kMatmulTile, stage ^ 1);
      async_wait<1>();
    } else {
      async_wait<0>();
    }
    __syncthreads();
    for (int t = 0; t < kMatmulTile; ++t) sum += tile_a[stage][ty][t] * tile_b[stage][t][tx];
    __syncthreads();
    stage ^= 1;
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
