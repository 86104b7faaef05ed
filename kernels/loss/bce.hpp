#pragma once
/// Binary cross-entropy with logits. Column 0 of each row is the positive, the others are sampled negatives.
///
///   loss = 1 / (n_batch * group) * sum over (b, g) of w[b, g] * (softplus(x) - y * x),  y = (g == 0)
///   d_logits = w * (sigmoid(x) - y) / (n_batch * group)
///   w[b, 0] = positive_weight * row_weight[b];  w[b, g > 0] = row_weight[b]
/// softplus(x) = max(x, 0) + log1p(exp(-|x|)): finite for every finite logit. Deterministic, any number of threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::loss {

struct BceArgs {
  MatrixView<const float> logits;      // [n_batch, group] f32
  VectorView<const float> row_weight;  // [n_batch] f32, or empty for 1
  float positive_weight = 1.0f;
  MatrixView<float> d_logits;  // [n_batch, group] f32, may alias logits
  VectorView<double> loss;     // [1] f64; the batch's mean is added to it
};

void bce(Context& context, const BceArgs& args);
OpCost bce_cost(const BceArgs& args);

SHEAF_BACKENDS(bce, BceArgs);

}  // namespace sheaf::loss
