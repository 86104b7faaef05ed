#pragma once
/// One element of dense/activation. Math is a struct with: exponential(x) = e^x for x <= 0, sigmoid, tanh, and
/// select(condition, a, b).

#include <cmath>
#include <type_traits>

#include "kernels/core/hd.hpp"
#include "kernels/dense/activation.hpp"

namespace sheaf::dense {

/// Calls body(std::integral_constant<Activation, kind>{}).
template <class Body>
void with_kind(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::relu: return body(std::integral_constant<Activation, Activation::relu>{});
    case Activation::sigmoid: return body(std::integral_constant<Activation, Activation::sigmoid>{});
    case Activation::tanh: return body(std::integral_constant<Activation, Activation::tanh>{});
    case Activation::gelu: return body(std::integral_constant<Activation, Activation::gelu>{});
  }
}

/// What the gradient is taken from.
inline const float* kept_for_gradient(const ActivationBackwardArgs& args) {
  return args.kind == Activation::gelu ? args.x.data : args.out.data;
}

/// The normal distribution at x; in float, its tails are 0 before kEnd = 15.
struct Normal {
  float at;           // x within [-kEnd, kEnd]
  float exponential;  // e^(-x^2 / 2)
  float probability;  // Phi(x)
};

/// Phi(-|x|) = e^(-x^2 / 2) R(|x|), so that the small tail is as accurate as the large one. R is a ratio of polynomials
/// with positive coefficients, fitted here: relative error 2^-26.5 on [0, 14], where the normal numbers end.
template <class Math>
SHEAF_HD inline Normal normal(float x) {
  constexpr float kEnd = 15.0f;
  const float size = fabsf(x);
  const float a = Math::select(size > kEnd, kEnd, size);  // NaN stays
  // a^2 = square + rest: without the rest, e^(-a^2 / 2) would err by up to 44 units. `near` has 12 bits, so that its
  // square is exact, whether or not the compiler contracts a product with a sum.
  constexpr float kShift = 0x1.8p+15f;
  const float near = (a + kShift) - kShift;
  const float beyond = (a - near) * (a + near);
  const float square = near * near + beyond;
  const float rest = (near * near - square) + beyond;
  const float e = Math::exponential(-0.5f * square);
  const float exponential = e - e * (0.5f * rest);
  const float p = (((0x1.0b3ae8p-8f * a + 0x1.4abb54p-5f) * a + 0x1.75ae8p-3f) * a + 0x1.bfbea8p-2f) * a + 0x1p-1f;
  const float q =
      ((((0x1.4eeb46p-7f * a + 0x1.9e89e8p-4f) * a + 0x1.dea5aap-2f) * a + 0x1.3304bp+0f) * a + 0x1.ac2184p+0f) * a +
      1.0f;
  const float tail = exponential * (p / q);
  const float body = 1.0f - tail;
  return {copysignf(a, x), exponential, Math::select(x >= 0.0f, body, tail)};
}

template <Activation kKind, class Math>
SHEAF_HD inline float activated(float x) {
  if constexpr (kKind == Activation::relu) {
    return x < 0.0f ? 0.0f : x;
  } else if constexpr (kKind == Activation::sigmoid) {
    return Math::sigmoid(x);
  } else if constexpr (kKind == Activation::tanh) {
    return Math::tanh(x);
  } else {
    const Normal n = normal<Math>(x);
    return Math::select(x >= 0.0f, x, n.at) * n.probability;  // not -infinity times 0
  }
}

/// d * f', of out or, for gelu, of x.
template <Activation kKind, class Math>
SHEAF_HD inline float activated_gradient(float kept, float d) {
  if constexpr (kKind == Activation::relu) {
    return kept > 0.0f ? d : 0.0f;
  } else if constexpr (kKind == Activation::sigmoid) {
    return d * (kept * (1.0f - kept));
  } else if constexpr (kKind == Activation::tanh) {
    return d * ((1.0f - kept) * (1.0f + kept));
  } else {
    constexpr float kDensity = 0.3989422804f;  // 1 / sqrt(2 pi)
    const Normal n = normal<Math>(kept);
    return d * (n.probability + n.at * kDensity * n.exponential);
  }
}

}  // namespace sheaf::dense
