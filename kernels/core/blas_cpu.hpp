#pragma once
/// Matrix products of the CPU backend, by OpenBLAS on the calling thread alone. The caller owns the
/// threads: it cuts the output into fixed pieces, so the bits do not depend on the number of threads.

#include <cstdint>

#include "kernels/core/context.hpp"

namespace sheaf::cpu {

/// C [m, n] = alpha * op(A) op(B) + beta * C, row-major with leading dimensions; op(X) is X or its transpose.
template <class T>
struct GemmOf {
  int64_t m, n, k;
  const T* a;
  int64_t lda;
  bool transpose_a;
  const T* b;
  int64_t ldb;
  bool transpose_b;
  T beta;
  T* c;
  int64_t ldc;
  T alpha = 1;
};
using Gemm = GemmOf<float>;
void gemm(const Gemm& g);
void gemm_double(const GemmOf<double>& g);

/// out [m, n] = A^T B and sums [m] = column sums of A, for A [k, m] and B [k, n] row-major: few outputs of very many
/// terms. Pieces of `piece` rows are multiplied by the context's threads and their results added in order.
struct RowProducts {
  int64_t m, n, k;
  const float* a;
  const float* b;
  float* out;
  float* sums;
  int64_t piece;
  int64_t lda = m, ldb = n;  // from one row to the next
};
void row_products(Context& context, const RowProducts& p);

/// Takes the buffers in which OpenBLAS multiplies, one for each thread of the context; OpenBLAS keeps them. Call it
/// before the threads multiply: where there is no room for a buffer, OpenBLAS itself would ask for it again for ever.
/// DeviceError that says how much room is missing.
void reserve_gemm(const Context& context);

}  // namespace sheaf::cpu
