#pragma once
/// Logits of the additive model P(u, i) = sigmoid(w1 . e_u + w2 . e_i + b) for a batch, and their gradients.
///
///   logits[b, g] = w_user . users[b, :] + w_item . items[b * group + g, :] + bias[0]
///
/// Gradients, from d = d_logits and s[b] = sum over g of d[b, g]:
///   d_users[b, :] = s[b] * w_user;   d_items[b * group + g, :] = d[b, g] * w_item
///   d_w_user = sum over b of s[b] * users[b, :];  d_w_item = sum over (b, g) of d[b, g] * items[b * group + g, :]
///   d_bias[0] = sum of all d
/// Deterministic, any number of threads: partial sums over fixed blocks of rows, then in block order.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct AdditiveScoresArgs {
  MatrixView<const float> users;   // [n_batch, dim] f32
  MatrixView<const float> items;   // [n_batch * group, dim] f32
  VectorView<const float> w_user;  // [dim] f32
  VectorView<const float> w_item;  // [dim] f32
  VectorView<const float> bias;    // [1] f32
  MatrixView<float> logits;        // [n_batch, group] f32
};

struct AdditiveScoresBackwardArgs {
  MatrixView<const float> users;     // [n_batch, dim] f32
  MatrixView<const float> items;     // [n_batch * group, dim] f32
  VectorView<const float> w_user;    // [dim] f32
  VectorView<const float> w_item;    // [dim] f32
  MatrixView<const float> d_logits;  // [n_batch, group] f32
  MatrixView<float> d_users;         // [n_batch, dim] f32
  MatrixView<float> d_items;         // [n_batch * group, dim] f32
  VectorView<float> d_w_user;        // [dim] f32
  VectorView<float> d_w_item;        // [dim] f32
  VectorView<float> d_bias;          // [1] f32
};

void additive_scores(Context& context, const AdditiveScoresArgs& args);
void additive_scores_backward(Context& context, const AdditiveScoresBackwardArgs& args);
OpCost additive_scores_cost(const AdditiveScoresArgs& args);

SHEAF_BACKENDS(additive_scores, AdditiveScoresArgs);
SHEAF_BACKENDS(additive_scores_backward, AdditiveScoresBackwardArgs);

}  // namespace sheaf::dense
