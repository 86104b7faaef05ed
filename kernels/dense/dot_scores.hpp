#pragma once
/// Factorization logits of a batch and their gradients: each of n_batch users against its own group of items.
///
///   logits[b, g] = users[b, :] . items[b * group + g, :] + user_bias[b] + item_bias[b * group + g] + bias[0]
///
/// Gradients, from d = d_logits:
///   d_users[b, :] = sum over g of d[b, g] * items[b * group + g, :];
///   d_items[b * group + g, :] = d[b, g] * users[b, :]
///   d_user_bias[b] = sum over g of d[b, g];  d_item_bias = d;  d_bias[0] = sum of all d
/// Deterministic, any number of threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct DotScoresArgs {
  MatrixView<const float> users;      // [n_batch, dim] f32
  MatrixView<const float> items;      // [n_batch * group, dim] f32
  VectorView<const float> user_bias;  // [n_batch] f32
  VectorView<const float> item_bias;  // [n_batch * group] f32
  VectorView<const float> bias;       // [1] f32
  MatrixView<float> logits;           // [n_batch, group] f32
};

struct DotScoresBackwardArgs {
  MatrixView<const float> users;     // [n_batch, dim] f32
  MatrixView<const float> items;     // [n_batch * group, dim] f32
  MatrixView<const float> d_logits;  // [n_batch, group] f32
  MatrixView<float> d_users;         // [n_batch, dim] f32
  MatrixView<float> d_items;         // [n_batch * group, dim] f32
  VectorView<float> d_user_bias;     // [n_batch] f32; d_item_bias is d_logits itself
  VectorView<float> d_bias;          // [1] f32
};

void dot_scores(Context& context, const DotScoresArgs& args);
void dot_scores_backward(Context& context, const DotScoresBackwardArgs& args);
OpCost dot_scores_cost(const DotScoresArgs& args);

SHEAF_BACKENDS(dot_scores, DotScoresArgs);
SHEAF_BACKENDS(dot_scores_backward, DotScoresBackwardArgs);

}  // namespace sheaf::dense
