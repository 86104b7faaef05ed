// Compiled for AVX-512, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>

#include "kernels/core/lanes_avx512.hpp"
#include "kernels/dense/mean_probability_kernel.hpp"

namespace sheaf::dense::cpu {
namespace {

// Several intrinsics in their masked form: the plain one makes g++ 12 report an undefined value.
struct Avx512ProbabilityLanes : Avx512Lanes {
  struct Sums {
    __m512d low, high;
  };
  static constexpr __mmask8 kHalf = 0xff;
  static Floats minimum(Floats a, Floats b) { return _mm512_maskz_min_ps(kAll, a, b); }
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

const ProbabilityKernel kAvx512Probability{"avx512", Avx512ProbabilityLanes::kLanes* Avx512ProbabilityLanes::kVectors,
                                           add_probabilities<Avx512ProbabilityLanes>};

}  // namespace sheaf::dense::cpu
#endif
