#pragma once
/// Adam over a whole (dense) parameter vector (Kingma and Ba, 2015); weight decay as L2 in the gradient.
///
///   g = grad + weight_decay * parameters;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
///   parameters -= lr * (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps)

#include "kernels/core/adam.hpp"
#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::optim {

struct AdamArgs {
  VectorView<const float> grad;  // [n] f32
  AdamParams adam;
  VectorView<float> parameters;  // [n] f32, in place
  VectorView<float> moment1;     // [n] f32
  VectorView<float> moment2;     // [n] f32
};

void adam(Context& context, const AdamArgs& args);
OpCost adam_cost(const AdamArgs& args);

SHEAF_BACKENDS(adam, AdamArgs);

}  // namespace sheaf::optim
