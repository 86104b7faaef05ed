// Compiled for AVX2 with FMA and F16C, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>

#include <type_traits>

#include "kernels/embedding/row_sum_kernel.hpp"

namespace sheaf::embedding::cpu {
namespace {

struct Avx2 {
  using Floats = __m256;
  static constexpr int kLanes = 8, kMostVectors = 12;
  static constexpr bool kHasMasks = false;
  static Floats zero() { return _mm256_setzero_ps(); }
  static Floats broadcast(float value) { return _mm256_set1_ps(value); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }

  template <class Element>
  static Floats load(const typename Element::Storage* from) {
    if constexpr (std::is_same_v<Element, F32>) {
      return _mm256_loadu_ps(from);
    } else if constexpr (std::is_same_v<Element, F16>) {
      return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    } else if constexpr (std::is_same_v<Element, Bf16>) {
      const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
      return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
    } else {
      return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
    }
  }
  static void store(float* to, Floats v) { _mm256_storeu_ps(to, v); }
};

}  // namespace

const RowSums kAvx2RowSums{"avx2", choose_sum<Avx2>};

}  // namespace sheaf::embedding::cpu
#endif
