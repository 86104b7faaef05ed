#include "kernels/core/blas_cpu.hpp"

#include <cblas.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/core/memory.hpp"

// The allocator of OpenBLAS' buffers, which its header does not declare.
extern "C" {
void* blas_memory_alloc(int);
void blas_memory_free(void*);
}

namespace sheaf::cpu {
namespace {

constexpr size_t kBufferMiB = 128;

template <class T, class Product>
void multiply(const GemmOf<T>& g, const Product& product) {
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

void reserve_gemm(const Context& context) {
  static std::mutex mutex;
  static int reserved = 0;
  const std::lock_guard lock(mutex);
  const int wanted = context.n_threads();
  if (wanted <= reserved) return;
  openblas_set_num_threads(1);  // where the flavour of OpenBLAS has threads of its own
  std::vector<void*> taken;
  constexpr size_t kRoom = (kBufferMiB + 1) << 20;
  while (static_cast<int>(taken.size()) < wanted && can_map(kRoom)) taken.push_back(blas_memory_alloc(0));
  for (void* buffer : taken) blas_memory_free(buffer);
  reserved = static_cast<int>(taken.size());
  if (reserved == wanted) return;
  throw DeviceError("matrix products on " + std::to_string(wanted) + " threads need " + std::to_string(kBufferMiB) +
                        " MiB of address space each, and there is room for " + std::to_string(reserved),
                    "raise the limit (ulimit -v)" +
                        (reserved > 0 ? ", or set run.threads = " + std::to_string(reserved) : std::string()));
}

}  // namespace sheaf::cpu
