#pragma once
/// Sixteen floats of AVX-512, for the templates of exponential.hpp and tile_product.hpp. Only for translation units
/// that are compiled for AVX-512; elsewhere this header is empty.

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>

namespace sheaf {
namespace {

// Several intrinsics in their masked form: the plain one makes g++ 12 report an undefined value.
struct Avx512Lanes {
  using Floats = __m512;
  static constexpr int kLanes = 16, kVectors = 3, kRows = 8;
  static constexpr __mmask16 kAll = 0xffff;
  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Floats x) { _mm512_storeu_ps(to, x); }
  static Floats broadcast(float x) { return _mm512_set1_ps(x); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats maximum(Floats a, Floats b) { return _mm512_maskz_max_ps(kAll, a, b); }
  static Floats first(Floats x, int n, Floats rest) {
    return _mm512_mask_blend_ps(static_cast<__mmask16>((1u << n) - 1), rest, x);
  }
  static Floats round(Floats x) {
    return _mm512_maskz_roundscale_ps(kAll, x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Floats power(Floats n) { return _mm512_maskz_scalef_ps(kAll, _mm512_set1_ps(1.0f), n); }
  static Floats below(Floats x, Floats limit, Floats y) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), y);
  }
  static float largest(Floats x) {
    const __m256 low = _mm512_maskz_extractf32x8_ps(0xff, x, 0), high = _mm512_maskz_extractf32x8_ps(0xff, x, 1);
    const __m256 eight = _mm256_max_ps(low, high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static float sum(Floats x) {
    const __m256 low = _mm512_maskz_extractf32x8_ps(0xff, x, 0), high = _mm512_maskz_extractf32x8_ps(0xff, x, 1);
    const __m256 eight = _mm256_add_ps(low, high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  // Pairs of rows, then pairs of pairs; the last two steps move parts of 128 bits.
  static void transpose(Floats (&x)[16]) {
    Floats y[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      y[i] = _mm512_maskz_unpacklo_ps(kAll, x[i], x[i + 1]);
      y[i + 1] = _mm512_maskz_unpackhi_ps(kAll, x[i], x[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
      x[i] = _mm512_maskz_shuffle_ps(kAll, y[i], y[i + 2], 0x44);
      x[i + 1] = _mm512_maskz_shuffle_ps(kAll, y[i], y[i + 2], 0xee);
      x[i + 2] = _mm512_maskz_shuffle_ps(kAll, y[i + 1], y[i + 3], 0x44);
      x[i + 3] = _mm512_maskz_shuffle_ps(kAll, y[i + 1], y[i + 3], 0xee);
    }
    // x[4 q + c]: columns c, c + 4, c + 8, c + 12 of rows 4 q to 4 q + 3.
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      const Floats a = _mm512_maskz_shuffle_f32x4(kAll, x[c], x[4 + c], 0x88);
      const Floats b = _mm512_maskz_shuffle_f32x4(kAll, x[8 + c], x[12 + c], 0x88);
      const Floats d = _mm512_maskz_shuffle_f32x4(kAll, x[c], x[4 + c], 0xdd);
      const Floats e = _mm512_maskz_shuffle_f32x4(kAll, x[8 + c], x[12 + c], 0xdd);
      y[c] = _mm512_maskz_shuffle_f32x4(kAll, a, b, 0x88);
      y[8 + c] = _mm512_maskz_shuffle_f32x4(kAll, a, b, 0xdd);
      y[4 + c] = _mm512_maskz_shuffle_f32x4(kAll, d, e, 0x88);
      y[12 + c] = _mm512_maskz_shuffle_f32x4(kAll, d, e, 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) x[i] = y[i];
  }
};

}  // namespace
}  // namespace sheaf
#endif
