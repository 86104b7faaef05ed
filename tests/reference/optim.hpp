#pragma once
/// The optimizers by definition, in double precision: Adam and AdamW (Kingma and Ba, 2015; Loshchilov and Hutter,
/// 2019), and those with at most one number of state an element (kernels/core/optimizer.hpp).

#include "kernels/core/optimizer.hpp"

namespace sheaf::ref {

/// One element: what it is, or how far float arithmetic may be from it.
struct AdamElement {
  double parameter = 0.0;
  double moment1 = 0.0;
  double moment2 = 0.0;
};

AdamElement adam(double grad, const OptimizerParams& params, const AdamElement& before);

/// How far a float step from the same `before` may be from adam(grad, ...), when its gradient was within `grad_error`
/// of `grad`. Each operation rounds once. Errors are carried to the end without assuming that they are small.
AdamElement adam_bound(double grad, double grad_error, const OptimizerParams& params, const AdamElement& before);

struct OneState {
  double parameter = 0.0;
  double state = 0.0;
};

/// sgd, momentum, adagrad or rmsprop.
OneState one_state(Optimizer optimizer, double grad, const OptimizerParams& params, const OneState& before);
/// As adam_bound.
OneState one_state_bound(Optimizer optimizer, double grad, double grad_error, const OptimizerParams& params,
                         const OneState& before);

}  // namespace sheaf::ref
