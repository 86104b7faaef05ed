#pragma once
/// The optimizers' step of one element, shared by the dense and the sparse ops on every backend. First
/// g += weight_decay * p (L2), then:
///
///   sgd              p -= lr g
///   momentum         m = mu m + g;  p -= lr m, with nesterov lr (g + mu m)      (Sutskever et al., ICML 2013, as
///                                                                                torch.optim.SGD writes it)
///   adagrad          v += g^2;  p -= lr g / (sqrt(v) + eps)                      (Duchi et al., JMLR 2011)
///   rowwise_adagrad  of tables only: embedding/table_update.hpp
///   rmsprop          v = b2 v + (1 - b2) g^2;  p -= lr g / (sqrt(v) + eps)       (Tieleman and Hinton, 2012; not
///                                                                                centered)
///   adam             m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2             (Kingma and Ba, 2015)
///                    p -= lr * ((m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps) + decoupled_decay * p)
///
/// decoupled_decay is AdamW's (Loshchilov and Hutter, 2019): it does not pass through the moments, and is Adam's alone.

#include <cmath>
#include <cstdint>

#include "kernels/core/hd.hpp"

namespace sheaf {

enum class Optimizer { sgd, rowwise_adagrad, adam, rmsprop, adagrad, momentum };

/// Numbers of state that an element has; rowwise_adagrad has one a row.
constexpr int64_t states_of(Optimizer optimizer) {
  if (optimizer == Optimizer::adam) return 2;
  return optimizer == Optimizer::sgd || optimizer == Optimizer::rowwise_adagrad ? 0 : 1;
}

struct OptimizerParams {
  float learning_rate = 1e-3f;
  float beta1 = 0.9f;            // of adam
  float beta2 = 0.999f;          // of adam and rmsprop
  float epsilon = 1e-8f;         // of all but sgd and momentum
  float weight_decay = 0.0f;     // L2, added to the gradient
  float decoupled_decay = 0.0f;  // of adam
  int64_t step = 1;              // counts from 1
  float mu = 0.9f;               // of momentum
  bool nesterov = false;         // of momentum
};

/// The step of an optimizer with at most one number of state an element; sgd leaves it alone.
template <Optimizer kOptimizer>
SHEAF_HD inline void one_state_step(const OptimizerParams& o, float grad, float& parameter, float& state) {
  static_assert(kOptimizer != Optimizer::adam && kOptimizer != Optimizer::rowwise_adagrad);
  const float g = grad + o.weight_decay * parameter;
  if constexpr (kOptimizer == Optimizer::sgd) {
    parameter -= o.learning_rate * g;
  } else if constexpr (kOptimizer == Optimizer::momentum) {
    state = o.mu * state + g;
    parameter -= o.learning_rate * (o.nesterov ? g + o.mu * state : state);
  } else {
    state = kOptimizer == Optimizer::adagrad ? state + g * g : o.beta2 * state + (1.0f - o.beta2) * g * g;
    parameter -= o.learning_rate * g / (sqrtf(state) + o.epsilon);
  }
}

/// Adam's parameters with the bias corrections of their step worked out.
struct AdamStep {
  explicit AdamStep(const OptimizerParams& p)
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

  OptimizerParams params;
  float correction1;
  float correction2;
};

}  // namespace sheaf
