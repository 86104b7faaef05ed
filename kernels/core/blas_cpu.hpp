#pragma once
/// Single-precision matrix product of the CPU backend, by OpenBLAS on the calling thread alone. The caller owns the
/// threads: it cuts the output into fixed pieces, so the bits do not depend on the number of threads.

#include <cstdint>

namespace sheaf::cpu {

/// C [m, n] = op(A) op(B) + beta * C, row-major with leading dimensions; op(X) is X or its transpose.
struct Gemm {
  int64_t m, n, k;
  const float* a;
  int64_t lda;
  bool transpose_a;
  const float* b;
  int64_t ldb;
  bool transpose_b;
  float beta;
  float* c;
  int64_t ldc;
};
void gemm(const Gemm& g);

}  // namespace sheaf::cpu
