#pragma once
/// Scalar functions that both backends use; finite for every finite argument.

#include <cmath>

#include "kernels/core/hd.hpp"

namespace sheaf {

/// 1 / (1 + exp(-x)) without overflow.
SHEAF_HD inline float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}

/// log(1 + exp(x)) without overflow.
SHEAF_HD inline float softplus(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }

}  // namespace sheaf
