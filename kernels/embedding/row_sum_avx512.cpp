// Compiled for AVX-512, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>

#include <type_traits>

#include "kernels/embedding/row_sum_kernel.hpp"

namespace sheaf::embedding::cpu {
namespace {

struct Avx512 {
  using Floats = __m512;
  static constexpr int kLanes = 16, kMostVectors = 16;
  static constexpr bool kHasMasks = true;
  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats broadcast(float value) { return _mm512_set1_ps(value); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1); }

  // By masks throughout: the unmasked conversions make g++ 12 report an undefined value.
  template <class Element>
  static Floats widen(const typename Element::Storage* from, __mmask16 mask) {
    if constexpr (std::is_same_v<Element, F32>) {
      return _mm512_maskz_loadu_ps(mask, from);
    } else if constexpr (std::is_same_v<Element, F16>) {
      return _mm512_maskz_cvtph_ps(mask, _mm256_maskz_loadu_epi16(mask, from));
    } else if constexpr (std::is_same_v<Element, Bf16>) {
      const __m512i wide = _mm512_maskz_cvtepu16_epi32(mask, _mm256_maskz_loadu_epi16(mask, from));
      return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(mask, wide, 16));
    } else {
      return _mm512_maskz_cvtepi32_ps(mask, _mm512_maskz_cvtepi8_epi32(mask, _mm_maskz_loadu_epi8(mask, from)));
    }
  }
  template <class Element>
  static Floats load(const typename Element::Storage* from) {
    if constexpr (std::is_same_v<Element, F32>) return _mm512_loadu_ps(from);
    return widen<Element>(from, 0xffff);
  }
  template <class Element>
  static Floats load_some(const typename Element::Storage* from, int n) {
    return widen<Element>(from, first(n));
  }
  static void store(float* to, Floats v) { _mm512_storeu_ps(to, v); }
  static void store_some(float* to, Floats v, int n) { _mm512_mask_storeu_ps(to, first(n), v); }
};

}  // namespace

const RowSums kAvx512RowSums{"avx512", choose_sum<Avx512>};

}  // namespace sheaf::embedding::cpu
#endif
