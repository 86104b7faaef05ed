// Compiled for AVX2 and FMA, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "kernels/core/product_scan_kernel.hpp"

namespace sheaf {
namespace {

struct Avx2Floats {
  using Floats = __m256;
};

struct Avx2 : FloatProducts<Avx2Floats> {
  using Units = __m256;
  static constexpr int kLanes = 8, kVectors = 3, kRows = 4;
  static Units load(const uint32_t* units) {
    return _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(units)));
  }
  static Units broadcast(const uint32_t* unit) {
    return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(*unit)));
  }
  static Floats multiply_add(Units row, Units column, Floats sums) { return _mm256_fmadd_ps(row, column, sums); }
  static Floats load_floats(const float* values) { return _mm256_loadu_ps(values); }
  static Floats broadcast_float(float value) { return _mm256_set1_ps(value); }
  static Floats limit(float row_threshold, const Terms&) { return broadcast_float(row_threshold); }
  static Floats minimum(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static uint32_t reaches(Floats a, Floats limit) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, limit, _CMP_GE_OQ)));
  }
  static void store(float* values, Floats a) { _mm256_store_ps(values, a); }
};

constexpr int kWidth = Avx2::kLanes * Avx2::kVectors;

}  // namespace

const ScanKernel kAvx2Scan{"avx2",           kWidth,        Avx2::kRows, true, float_units, pack_floats<kWidth>,
                           scan_panel<Avx2>, keep_products, no_residuals};

}  // namespace sheaf
#endif
