#pragma once
/// Inner loops of the CPU backend. The compiler chooses the vector width. The order of additions is fixed for one
/// build.

#include <cstdint>

namespace sheaf {

inline float dot(const float* a, const float* b, int64_t n) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// y += scale * x
inline void axpy(float scale, const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] += scale * x[i];
}

}  // namespace sheaf
