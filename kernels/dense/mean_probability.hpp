#pragma once
/// How much the users as a whole want each item: the mean of their calibrated probabilities.
///
///   out[i] = 1 / n_users * sum over u of sigmoid(slope * (users[u, :] . items[i, :] + user_bias[u] + item_bias[i] +
///       bias[0]) + offset)
///
/// Sums run in double and in a fixed order of the users: deterministic, the same bits on any number of threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct MeanProbabilityArgs {
  MatrixView<const float> users;      // [n_users, dim] f32, n_users >= 1
  MatrixView<const float> items;      // [n_items, dim] f32
  VectorView<const float> user_bias;  // [n_users] f32
  VectorView<const float> item_bias;  // [n_items] f32
  VectorView<const float> bias;       // [1] f32
  float slope = 1.0f;
  float offset = 0.0f;
  VectorView<float> out;  // [n_items] f32
};

void mean_probability(Context& context, const MeanProbabilityArgs& args);
OpCost mean_probability_cost(const MeanProbabilityArgs& args);

SHEAF_BACKENDS(mean_probability, MeanProbabilityArgs);

}  // namespace sheaf::dense
