// Compiled for AVX-512 with VNNI, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512VNNI__)
#include <immintrin.h>

#include "kernels/core/product_scan_kernel.hpp"

namespace sheaf {
namespace {

// Products of bytes, four a lane: those of the rows are raised by 128, since the instruction takes them as unsigned.
struct Vnni {
  using Floats = __m512;
  using Units = __m512i;
  using Sums = __m512i;
  static constexpr int kLanes = 16, kVectors = 3, kRows = 8, kTrailer = ByteTrailer::kUnits;

  struct Terms {
    float scale, slack;
    Terms(const uint32_t* row, const uint32_t* column, int width) {
      const auto of_row = [&](int unit) { return __builtin_bit_cast(float, row[unit * width]); };
      const auto of_panel = [&](int place) {
        return __builtin_bit_cast(float, column[ByteTrailer::kOfPanel * width + place]);
      };
      scale = of_row(ByteTrailer::kScale) * of_panel(ByteTrailer::kPanelScale);
      slack = of_row(ByteTrailer::kResidual) * of_panel(ByteTrailer::kLongest) +
              of_row(ByteTrailer::kLength) * of_panel(ByteTrailer::kSpread);
    }
  };

  static Sums start(const uint32_t* column) { return _mm512_loadu_si512(column); }
  static Units load(const uint32_t* units) { return _mm512_loadu_si512(units); }
  static Units broadcast(const uint32_t* unit) { return _mm512_set1_epi32(static_cast<int>(*unit)); }
  // With the intrinsic, g++ 12 keeps every sum in memory and is as slow as with bf16.
  static Sums multiply_add(Units row, Units column, Sums sums) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(row), "v"(column));
    return sums;
  }
  static Floats product(Sums sums, const Terms& terms, const uint32_t* column) {
    const Floats addend = _mm512_loadu_ps(column + ByteTrailer::kAddend * kLanes * kVectors);
    return _mm512_fmadd_ps(_mm512_maskz_cvtepi32_ps(0xffff, sums), _mm512_set1_ps(terms.scale), addend);
  }
  static float upper(float product, const Terms& terms) { return product + terms.slack; }
  static Floats load_floats(const float* values) { return _mm512_loadu_ps(values); }
  static Floats limit(float row_threshold, const Terms& terms) { return _mm512_set1_ps(row_threshold - terms.slack); }
  static Floats minimum(Floats a, Floats) { return a; }
  static uint32_t reaches(Floats a, Floats limit) { return _mm512_cmp_ps_mask(a, limit, _CMP_GE_OQ); }
  static void store(float* values, Floats a) { _mm512_store_ps(values, a); }
};

constexpr int kWidth = Vnni::kLanes * Vnni::kVectors;

int32_t byte_units(int64_t dim) { return static_cast<int32_t>((dim + 3) / 4) + ByteTrailer::kUnits; }

void pack_bytes(const float* vectors, int64_t dim, const float* scales, bool are_rows, uint32_t* panel,
                float* lost_squares) {
  const int32_t n_units = byte_units(dim) - ByteTrailer::kUnits;
  const uint32_t raise = are_rows ? 0x80808080u : 0u;
  const __m512i bytes_of_16 = _mm512_set1_epi32(0xff);
  for (int j = 0; j < kWidth; ++j) {
    const float* vector = vectors + j * dim;
    const __m512 scale = _mm512_set1_ps(scales[j]);
    const __m512 inverse = _mm512_set1_ps(scales[j] > 0.0f ? 1.0f / scales[j] : 0.0f);
    __m512 squares = _mm512_setzero_ps();
    __m512i sum = _mm512_setzero_si512();
    for (int64_t d = 0; d < dim; d += 16) {
      const auto mask = static_cast<__mmask16>(dim - d < 16 ? (1u << (dim - d)) - 1 : 0xffffu);
      const __m512 x = _mm512_maskz_loadu_ps(mask, vector + d);
      const __m512i steps = _mm512_maskz_cvtps_epi32(0xffff, _mm512_mul_ps(x, inverse));
      const __m512 lost = _mm512_fnmadd_ps(_mm512_maskz_cvtepi32_ps(0xffff, steps), scale, x);
      squares = _mm512_fmadd_ps(lost, lost, squares);
      sum = _mm512_add_epi32(sum, steps);
      alignas(16) uint32_t units[4];
      _mm_store_si128(reinterpret_cast<__m128i*>(units),
                      _mm512_maskz_cvtepi32_epi8(0xffff, _mm512_and_si512(steps, bytes_of_16)));
      for (int64_t u = d / 4; u < n_units && u < d / 4 + 4; ++u) panel[u * kWidth + j] = units[u - d / 4] ^ raise;
    }
    alignas(64) float parts[16];
    alignas(64) int32_t sums[16];
    _mm512_store_ps(parts, squares);
    _mm512_store_si512(sums, sum);
    float lost_square = 0.0f;
    int32_t total = 0;
    for (int l = 0; l < 16; ++l) {
      lost_square += parts[l];
      total += sums[l];
    }
    lost_squares[j] = lost_square;
    if (!are_rows) panel[(n_units + ByteTrailer::kStart) * kWidth + j] = static_cast<uint32_t>(-128 * total);
  }
}

}  // namespace

const ScanKernel kVnniScan{"vnni",  kWidth,           Vnni::kRows,      false,        byte_units,
                           nullptr, scan_panel<Vnni>, rescore_in_float, no_residuals, pack_bytes};

}  // namespace sheaf
#endif
