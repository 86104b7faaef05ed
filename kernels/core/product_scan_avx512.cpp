// Compiled for AVX-512, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512F__)
#include <immintrin.h>

#include "kernels/core/product_scan_kernel.hpp"

namespace sheaf {
namespace {

struct Avx512Floats {
  using Floats = __m512;
};

struct Avx512 : FloatProducts<Avx512Floats> {
  using Units = __m512;
  static constexpr int kLanes = 16, kVectors = 3, kRows = 8;
  static Units load(const uint32_t* units) { return _mm512_loadu_ps(units); }
  static Units broadcast(const uint32_t* unit) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*unit)));
  }
  static Floats multiply_add(Units row, Units column, Floats sums) { return _mm512_fmadd_ps(row, column, sums); }
  static Floats load_floats(const float* values) { return _mm512_loadu_ps(values); }
  static Floats broadcast_float(float value) { return _mm512_set1_ps(value); }
  static Floats limit(float row_threshold, const Terms&) { return broadcast_float(row_threshold); }
  // By masks: the unmasked intrinsic makes g++ 12 report an undefined value.
  static Floats minimum(Floats a, Floats b) { return _mm512_maskz_min_ps(0xffff, a, b); }
  static uint32_t reaches(Floats a, Floats limit) { return _mm512_cmp_ps_mask(a, limit, _CMP_GE_OQ); }
  static void store(float* values, Floats a) { _mm512_store_ps(values, a); }
};

constexpr int kWidth = Avx512::kLanes * Avx512::kVectors;

}  // namespace

const ScanKernel kAvx512Scan{"avx512",           kWidth,        Avx512::kRows, true, float_units, pack_floats<kWidth>,
                             scan_panel<Avx512>, keep_products, no_residuals};

}  // namespace sheaf
#endif
