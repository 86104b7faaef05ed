#include "kernels/core/blas_cpu.hpp"

#include <cblas.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/core/memory.hpp"
#include "kernels/core/parallel.hpp"

// The allocator of OpenBLAS' buffers, which its header does not declare.
extern "C" {
void* blas_memory_alloc(int);
void blas_memory_free(void*);
}

namespace sheaf::cpu {
namespace {

constexpr size_t kBufferMiB = 128;
constexpr size_t kRoom = (kBufferMiB + 1) << 20;

/// Before OpenBLAS itself starts, which is before main: it starts as many threads as this variable says. It may take a
/// buffer then, and asks for ever where there is no room for one.
[[gnu::constructor(101)]] void begin_before_openblas() {
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  if (can_map(kRoom)) return;
  constexpr std::string_view kMessage = "sheaf: no room for a buffer of 128 MiB\n  raise the limit (ulimit -v)\n";
  (void)!write(STDERR_FILENO, kMessage.data(), kMessage.size());
  _exit(static_cast<int>(ExitCode::device));
}

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

void row_products(Context& context, const RowProducts& p) {
  const int64_t n_pieces = std::max<int64_t>(1, (p.k + p.piece - 1) / p.piece);
  const int64_t size = p.m * p.n;
  ScratchScope scratch(context);
  float* products = scratch.take<float>(n_pieces * size);
  float* sums = scratch.take<float>(n_pieces * p.m);
  parallel_for(context, n_pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = piece * p.piece;
      const int64_t rows = std::min(p.piece, p.k - first);
      if (rows <= 0) {
        std::fill_n(products + piece * size, size, 0.0f);
      } else {
        gemm({p.m, p.n, rows, p.a + first * p.lda, p.lda, true, p.b + first * p.ldb, p.ldb, false, 0.0f,
              products + piece * size, p.n});
      }
      float* own = sums + piece * p.m;
      std::fill_n(own, p.m, 0.0f);
      for (int64_t r = first; r < first + rows; ++r) {
        const float* row = p.a + r * p.lda;
        for (int64_t c = 0; c < p.m; ++c) own[c] += row[c];
      }
    }
  });
  const auto add = [&](const float* pieces, int64_t count, float* total) {
    std::copy_n(pieces, count, total);
    for (int64_t piece = 1; piece < n_pieces; ++piece) {
      for (int64_t i = 0; i < count; ++i) total[i] += pieces[piece * count + i];
    }
  };
  add(products, size, p.out);
  add(sums, p.m, p.sums);
}

void reserve_gemm(const Context& context) {
  static std::mutex mutex;
  static int reserved = 0;
  const std::lock_guard lock(mutex);
  const int wanted = context.n_threads();
  if (wanted <= reserved) return;
  openblas_set_num_threads(1);  // where the variable came too late: OpenBLAS as a shared library
  std::vector<void*> taken;
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
