// Compiled for AVX-512, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>

#include "kernels/dense/mean_probability_kernel.hpp"

namespace sheaf::dense::cpu {
namespace {

// Several intrinsics in their masked form: the plain one makes g++ 12 report an undefined value.
struct Avx512Lanes {
  using Floats = __m512;
  struct Sums {
    __m512d low, high;
  };
  static constexpr int kLanes = 16, kVectors = 3, kRows = 8;
  static constexpr __mmask16 kAll = 0xffff;
  static constexpr __mmask8 kHalf = 0xff;
  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats load(const float* from) { return _mm512_loadu_ps(from); }
  static Floats broadcast(float x) { return _mm512_set1_ps(x); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats maximum(Floats a, Floats b) { return _mm512_maskz_max_ps(kAll, a, b); }
  static Floats minimum(Floats a, Floats b) { return _mm512_maskz_min_ps(kAll, a, b); }
  static Floats round(Floats x) {
    return _mm512_maskz_roundscale_ps(kAll, x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Floats power(Floats n) { return _mm512_maskz_scalef_ps(kAll, _mm512_set1_ps(1.0f), n); }
  // An estimate with an error of 2^-14, and one step of Newton's method.
  static Floats reciprocal(Floats x) {
    const Floats estimate = _mm512_maskz_rcp14_ps(kAll, x);
    return _mm512_fmadd_ps(estimate, _mm512_fnmadd_ps(x, estimate, _mm512_set1_ps(1.0f)), estimate);
  }
  static Sums load_sums(const double* from) { return {_mm512_loadu_pd(from), _mm512_loadu_pd(from + 8)}; }
  static void store_sums(double* to, const Sums& sums) {
    _mm512_storeu_pd(to, sums.low);
    _mm512_storeu_pd(to + 8, sums.high);
  }
  static void add_to_sums(Sums& sums, Floats x) {
    sums.low = _mm512_add_pd(sums.low, _mm512_maskz_cvtps_pd(kHalf, _mm512_maskz_extractf32x8_ps(kHalf, x, 0)));
    sums.high = _mm512_add_pd(sums.high, _mm512_maskz_cvtps_pd(kHalf, _mm512_maskz_extractf32x8_ps(kHalf, x, 1)));
  }
};

}  // namespace

const ProbabilityKernel kAvx512Probability{"avx512", Avx512Lanes::kLanes* Avx512Lanes::kVectors,
                                           add_probabilities<Avx512Lanes>};

}  // namespace sheaf::dense::cpu
#endif
