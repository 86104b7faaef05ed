#include "kernels/core/blas_cpu.hpp"

#include <cblas.h>

#include <algorithm>

namespace sheaf::cpu {
namespace {

template <class T, class Product>
void multiply(const GemmOf<T>& g, const Product& product) {
  static const bool one_thread = (openblas_set_num_threads(1), true);
  (void)one_thread;
  if (g.m == 0 || g.n == 0) return;
  const auto size = [](int64_t n) { return static_cast<blasint>(n); };
  const auto leading = [](int64_t n) { return static_cast<blasint>(std::max<int64_t>(n, 1)); };
  product(CblasRowMajor, g.transpose_a ? CblasTrans : CblasNoTrans, g.transpose_b ? CblasTrans : CblasNoTrans,
          size(g.m), size(g.n), size(g.k), g.alpha, g.a, leading(g.lda), g.b, leading(g.ldb), g.beta, g.c,
          leading(g.ldc));
}

}  // namespace

void gemm(const Gemm& g) { multiply(g, cblas_sgemm); }
void gemm_double(const GemmOf<double>& g) { multiply(g, cblas_dgemm); }

}  // namespace sheaf::cpu
