// Compiled for AVX-512 with BF16, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512BF16__)
#include <immintrin.h>

#include "kernels/core/product_scan_kernel.hpp"

namespace sheaf {
namespace {

struct Bf16Floats {
  using Floats = __m512;
};

struct Bf16 : FloatProducts<Bf16Floats> {
  using Units = __m512i;
  static constexpr int kLanes = 16, kVectors = 3, kRows = 8;
  static Units load(const uint32_t* units) { return _mm512_loadu_si512(units); }
  static Units broadcast(const uint32_t* unit) { return _mm512_set1_epi32(static_cast<int>(*unit)); }
  static Floats multiply_add(Units row, Units column, Floats sums) {
    return _mm512_dpbf16_ps(sums, __builtin_bit_cast(__m512bh, row), __builtin_bit_cast(__m512bh, column));
  }
  static Floats load_floats(const float* values) { return _mm512_loadu_ps(values); }
  static Floats broadcast_float(float value) { return _mm512_set1_ps(value); }
  static Floats limit(float row_threshold, const Terms&) { return broadcast_float(row_threshold); }
  // By masks: the unmasked intrinsic makes g++ 12 report an undefined value.
  static Floats minimum(Floats a, Floats b) { return _mm512_maskz_min_ps(0xffff, a, b); }
  static uint32_t reaches(Floats a, Floats limit) { return _mm512_cmp_ps_mask(a, limit, _CMP_GE_OQ); }
  static void store(float* values, Floats a) { _mm512_store_ps(values, a); }
};

constexpr int kWidth = Bf16::kLanes * Bf16::kVectors;

int32_t bf16_units(int64_t dim) { return static_cast<int32_t>((dim + 1) / 2); }

// To nearest, ties to even. The products take a number below the smallest normal one as 0, so it becomes 0 here.
uint32_t to_bf16(float value) {
  const auto bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t is_normal = 0u - static_cast<uint32_t>((bits & 0x7f800000u) != 0);
  return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) & is_normal;
}

void pack_bf16(const float* vectors, int64_t dim, uint32_t* panel) {
  constexpr int64_t kGroup = 16;
  for (int64_t first = 0; first < dim; first += kGroup) {
    const int64_t last = first + kGroup < dim ? first + kGroup : dim;
    for (int64_t j = 0; j < kWidth; ++j) {
      for (int64_t d = first; d < last; d += 2) {
        uint32_t unit = to_bf16(vectors[j * dim + d]);
        if (d + 1 < dim) unit |= to_bf16(vectors[j * dim + d + 1]) << 16;
        panel[d / 2 * kWidth + j] = unit;
      }
    }
  }
}

void bf16_residuals(const float* vectors, int64_t count, int64_t dim, float* residuals) {
  for (int64_t j = 0; j < count; ++j) {
    double squares = 0;
    for (int64_t d = 0; d < dim; ++d) {
      const float value = vectors[j * dim + d];
      const double rest =
          static_cast<double>(value) - static_cast<double>(__builtin_bit_cast(float, to_bf16(value) << 16));
      squares += rest * rest;
    }
    residuals[j] = static_cast<float>(__builtin_sqrt(squares)) * (1.0f + 0x1.0p-20f);
  }
}

}  // namespace

const ScanKernel kBf16Scan{"bf16",    kWidth,           Bf16::kRows,      false,         bf16_units,
                           pack_bf16, scan_panel<Bf16>, rescore_in_float, bf16_residuals};

}  // namespace sheaf
#endif
