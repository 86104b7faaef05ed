#pragma once
/// Bayesian personalised ranking (Rendle et al., UAI 2009). Column 0 of each row is the positive, the others negatives.
///
///   loss = 1 / (n_batch * (group - 1)) * sum over (b, g > 0) of w[b] * softplus(-(x[b, 0] - x[b, g]))
///   with s = sigmoid(x[b, g] - x[b, 0]) * w[b] / (n_batch * (group - 1)):
///   d_logits[b, g > 0] = s;  d_logits[b, 0] = - sum over g > 0 of s
/// group >= 2. Deterministic, any number of threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::loss {

struct BprArgs {
  MatrixView<const float> logits;      // [n_batch, group] f32
  VectorView<const float> row_weight;  // [n_batch] f32, or empty for 1
  MatrixView<float> d_logits;          // [n_batch, group] f32, may alias logits
  VectorView<double> loss;             // [1] f64; the batch's mean is added to it
};

void bpr(Context& context, const BprArgs& args);
OpCost bpr_cost(const BprArgs& args);

SHEAF_BACKENDS(bpr, BprArgs);

}  // namespace sheaf::loss
