#pragma once
/// Adam over a whole (dense) parameter vector (Kingma and Ba, 2015). Weight decay is L2 in the gradient or, as in
/// AdamW, separate from it. The step of one element is AdamStep in kernels/core/optimizer.hpp.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/optimizer.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::optim {

/// No two of the arrays may overlap.
struct AdamArgs {
  VectorView<const float> grad;  // [n] f32
  OptimizerParams adam;
  VectorView<float> parameters;  // [n] f32, in place
  VectorView<float> moment1;     // [n] f32
  VectorView<float> moment2;     // [n] f32
};

void adam(Context& context, const AdamArgs& args);
OpCost adam_cost(const AdamArgs& args);

SHEAF_BACKENDS(adam, AdamArgs);

}  // namespace sheaf::optim
