// Compiled for AVX-512 with BF16, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512BF16__)
#include <immintrin.h>

#include "kernels/association/cosine_scan_kernel.hpp"

namespace sheaf::association::cpu {
namespace {

struct Bf16 {
  using Floats = __m512;
  using Units = __m512i;
  static constexpr int kLanes = 16, kVectors = 3, kRows = 8;
  static Floats zero() { return _mm512_setzero_ps(); }
  static Units load(const uint32_t* units) { return _mm512_loadu_si512(units); }
  static Units broadcast(const uint32_t* unit) { return _mm512_set1_epi32(static_cast<int>(*unit)); }
  static Floats multiply_add(Units row, Units column, Floats sums) {
    return _mm512_dpbf16_ps(sums, __builtin_bit_cast(__m512bh, row), __builtin_bit_cast(__m512bh, column));
  }
  static Floats load_floats(const float* values) { return _mm512_loadu_ps(values); }
  static Floats broadcast_float(float value) { return _mm512_set1_ps(value); }
  // By masks: the unmasked intrinsic makes g++ 12 report an undefined value.
  static Floats minimum(Floats a, Floats b) { return _mm512_maskz_min_ps(0xffff, a, b); }
  static uint32_t reaches(Floats a, Floats limit) { return _mm512_cmp_ps_mask(a, limit, _CMP_GE_OQ); }
  static void store(float* values, Floats a) { _mm512_store_ps(values, a); }
};

constexpr int kWidth = Bf16::kLanes * Bf16::kVectors;

int32_t bf16_units(int64_t dim) { return static_cast<int32_t>((dim + 1) / 2); }

// To nearest, ties to even; the values are at most 1.
uint32_t to_bf16(float value) {
  const auto bits = __builtin_bit_cast(uint32_t, value);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
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

// Eight hits side by side hide the latency of each one's chain of sums.
void rescore(const float* rows, const float* columns, int64_t dim, Hit* hits, int32_t n_hits) {
  constexpr int32_t kTogether = 8;
  for (int32_t first = 0; first < n_hits; first += kTogether) {
    const int32_t n = n_hits - first < kTogether ? n_hits - first : kTogether;
    const float* row[kTogether];
    const float* column[kTogether];
    float sums[kTogether] = {};
    for (int32_t h = 0; h < kTogether; ++h) {
      const Hit& hit = hits[first + (h < n ? h : 0)];
      row[h] = rows + hit.row * dim;
      column[h] = columns + hit.column * dim;
    }
    for (int64_t d = 0; d < dim; ++d) {
#pragma GCC unroll 8
      for (int32_t h = 0; h < kTogether; ++h) sums[h] = __builtin_fmaf(row[h][d], column[h][d], sums[h]);
    }
    for (int32_t h = 0; h < n; ++h) hits[first + h].product = sums[h];
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

const ScanKernel kBf16Scan{"bf16",    kWidth,           Bf16::kRows, false,         bf16_units,
                           pack_bf16, scan_panel<Bf16>, rescore,     bf16_residuals};

}  // namespace sheaf::association::cpu
#endif
