#pragma once
/// Inner loops of the CPU backend. The compiler chooses the vector width. The order of additions is fixed for one
/// build.

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/core/exponential.hpp"

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

/// One float, in operations that the compiler can vectorize, for exponential().
struct VectorizableFloat {
  using Floats = float;
  static constexpr float kShift = 0x1.8p+23f;  // a float this large keeps no fraction: its last bits are an integer
  // By a mask: of a conditional expression the compiler makes branches with arithmetic in them, and does not vectorize.
  static float select(bool condition, float a, float b) {
    const uint32_t mask = 0u - static_cast<uint32_t>(condition);
    return std::bit_cast<float>((std::bit_cast<uint32_t>(a) & mask) | (std::bit_cast<uint32_t>(b) & ~mask));
  }
  static float broadcast(float x) { return x; }
  static float multiply_add(float a, float b, float c) { return a * b + c; }
  static float multiply(float a, float b) { return a * b; }
  static float maximum(float a, float b) { return select(a > b, a, b); }
  static float below(float x, float limit, float y) { return select(x < limit, 0.0f, y); }
  static float round(float x) { return (x + kShift) - kShift; }
  static float power(float n) { return std::bit_cast<float>((std::bit_cast<uint32_t>(n + kShift) + 127) << 23); }
};

/// sigmoid() of core/math.hpp with an exponential of our own, at most 3 units in the last place off, for loops that the
/// compiler is to vectorize.
inline float vectorizable_sigmoid(float x) {
  const float e = exponential<VectorizableFloat>(-std::fabs(x));
  return VectorizableFloat::select(x >= 0.0f, 1.0f, e) / (1.0f + e);
}

/// tanh(x), at most 3 units in the last place off: -t / (2 + t) of t = e^(-2 |x|) - 1, without cancellation near 0.
inline float vectorizable_tanh(float x) {
  const float t = exponential_minus_one<VectorizableFloat>(-2.0f * std::fabs(x));
  return std::copysign(t / (2.0f + t), x);
}

}  // namespace sheaf
