#pragma once
/// SGD with or without momentum, Adagrad and RMSProp over a whole (dense) parameter vector. The step of one element is
/// one_state_step in kernels/core/optimizer.hpp, with sources. Element by element: the same bits on any number of
/// threads. UsageError for sizes that differ, for adam (optim/adam.hpp) and for rowwise_adagrad (of tables).

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/optimizer.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::optim {

/// No two of the arrays may overlap.
struct OneStateArgs {
  VectorView<const float> grad;  // [n] f32
  Optimizer optimizer = Optimizer::sgd;
  OptimizerParams params;
  VectorView<float> parameters;  // [n] f32, in place
  VectorView<float> state;       // [n] f32, in place: m of momentum, v of adagrad and rmsprop; empty for sgd
};

void one_state(Context& context, const OneStateArgs& args);
OpCost one_state_cost(const OneStateArgs& args);

SHEAF_BACKENDS(one_state, OneStateArgs);

}  // namespace sheaf::optim
