#pragma once
/// Few outputs of very many terms: slices of the terms fill the device, and are added in order.

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/matmul.cuh"
#include "kernels/core/cuda/reduce.cuh"

namespace sheaf {

/// out [m, n] = A^T B and sums [m] = column sums of A, for A [k, m] and B [k, n] row-major, in pieces of `piece` rows.
struct RowProducts {
  int64_t m, n, k;
  const float* a;
  const float* b;
  float* out;
  float* sums;
  int64_t piece;
  int64_t lda = m, ldb = n;  // from one row to the next
};

namespace detail {

constexpr int kColumnBlock = 128;

// A thread one column of one piece; neighbours read neighbours.
template <int kBlock>
__global__ void row_sums_kernel(RowProducts p, float* partials) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (column >= p.m) return;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * p.piece;
  const int64_t end = first + p.piece < p.k ? first + p.piece : p.k;
  float sum = 0.0f;
  for (int64_t r = first; r < end; ++r) sum += p.a[r * p.lda + column];
  partials[blockIdx.y * p.m + column] = sum;
}

}  // namespace detail

inline void row_products(Context& context, const RowProducts& p) {
  const int64_t n_pieces = p.k > p.piece ? (p.k + p.piece - 1) / p.piece : 1;
  ScratchScope scratch(context);
  float* products = scratch.take<float>(n_pieces * p.m * p.n);
  float* sums = scratch.take<float>(n_pieces * p.m);
  matmul<true, false>(context, {.m = p.m,
                                .n = p.n,
                                .k = p.k,
                                .a = p.a,
                                .lda = p.lda,
                                .b = p.b,
                                .ldb = p.ldb,
                                .out = products,
                                .ldo = p.n,
                                .column_bias = nullptr,
                                .accumulate = false,
                                .k_slice = p.piece});
  launch(detail::row_sums_kernel<detail::kColumnBlock>,
         dim3(blocks_for(p.m, detail::kColumnBlock), static_cast<unsigned>(n_pieces)), detail::kColumnBlock, 0, context,
         p, sums);
  add_partials(context, products, n_pieces, p.m * p.n, false, 1.0, p.out);
  add_partials(context, sums, n_pieces, p.m, false, 1.0, p.sums);
}

}  // namespace sheaf
