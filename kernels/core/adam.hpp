#pragma once
/// The Adam step of one element (Kingma and Ba, 2015), shared by the dense and the sparse optimizer on every backend.
///
///   g += weight_decay * p;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
///   p -= lr * ((m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps) + decoupled_decay * p)
///
/// decoupled_decay is AdamW's (Loshchilov and Hutter, 2019): it does not pass through the moments.

#include <cmath>
#include <cstdint>

#include "kernels/core/hd.hpp"

namespace sheaf {

struct AdamParams {
  float learning_rate = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 0.0f;  // L2, added to the gradient
  float decoupled_decay = 0.0f;
  int64_t step = 1;  // counts from 1
};

/// The parameters with the bias corrections of their step worked out.
struct AdamStep {
  explicit AdamStep(const AdamParams& p)
      : params(p),
        correction1(static_cast<float>(1.0 - std::pow(static_cast<double>(p.beta1), static_cast<double>(p.step)))),
        correction2(static_cast<float>(1.0 - std::pow(static_cast<double>(p.beta2), static_cast<double>(p.step)))) {}

  SHEAF_HD void apply(float grad, float& parameter, float& moment1, float& moment2) const {
    const float g = grad + params.weight_decay * parameter;
    moment1 = params.beta1 * moment1 + (1.0f - params.beta1) * g;
    moment2 = params.beta2 * moment2 + (1.0f - params.beta2) * g * g;
    const float direction = (moment1 / correction1) / (sqrtf(moment2 / correction2) + params.epsilon);
    parameter -= params.learning_rate * (direction + params.decoupled_decay * parameter);
  }

  AdamParams params;
  float correction1;
  float correction2;
};

}  // namespace sheaf
