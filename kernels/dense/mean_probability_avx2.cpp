// Compiled for AVX2 and FMA, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "kernels/dense/mean_probability_kernel.hpp"

namespace sheaf::dense::cpu {
namespace {

struct Avx2Lanes {
  using Floats = __m256;
  struct Sums {
    __m256d low, high;
  };
  static constexpr int kLanes = 8, kVectors = 3, kRows = 4;
  static Floats zero() { return _mm256_setzero_ps(); }
  static Floats load(const float* from) { return _mm256_loadu_ps(from); }
  static Floats broadcast(float x) { return _mm256_set1_ps(x); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats maximum(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats minimum(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static Floats round(Floats x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Floats power(Floats n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  }
  static Floats reciprocal(Floats x) { return _mm256_div_ps(_mm256_set1_ps(1.0f), x); }
  static Sums load_sums(const double* from) { return {_mm256_loadu_pd(from), _mm256_loadu_pd(from + 4)}; }
  static void store_sums(double* to, const Sums& sums) {
    _mm256_storeu_pd(to, sums.low);
    _mm256_storeu_pd(to + 4, sums.high);
  }
  static void add_to_sums(Sums& sums, Floats x) {
    sums.low = _mm256_add_pd(sums.low, _mm256_cvtps_pd(_mm256_castps256_ps128(x)));
    sums.high = _mm256_add_pd(sums.high, _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
  }
};

}  // namespace

const ProbabilityKernel kAvx2Probability{"avx2", Avx2Lanes::kLanes* Avx2Lanes::kVectors, add_probabilities<Avx2Lanes>};

}  // namespace sheaf::dense::cpu
#endif
