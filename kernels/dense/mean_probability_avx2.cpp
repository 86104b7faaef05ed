// Compiled for AVX2 and FMA, whatever the rest is compiled for (kernels/CMakeLists.txt).
#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "kernels/core/lanes_avx2.hpp"
#include "kernels/dense/mean_probability_kernel.hpp"

namespace sheaf::dense::cpu {
namespace {

struct Avx2ProbabilityLanes : Avx2Lanes {
  struct Sums {
    __m256d low, high;
  };
  static Floats minimum(Floats a, Floats b) { return _mm256_min_ps(a, b); }
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

const ProbabilityKernel kAvx2Probability{"avx2", Avx2ProbabilityLanes::kLanes* Avx2ProbabilityLanes::kVectors,
                                         add_probabilities<Avx2ProbabilityLanes>};

}  // namespace sheaf::dense::cpu
#endif
