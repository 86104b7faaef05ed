#pragma once
/// The arithmetic of one row of loss::bpr, which both backends include.

#include "kernels/core/math.hpp"
#include "kernels/loss/bpr.hpp"

namespace sheaf::loss {

/// One row: writes its gradients, returns the sum of its losses. `scale` is 1 / (n_batch * (group - 1)).
SHEAF_HD inline double bpr_row(const BprArgs& args, int64_t b, float scale) {
  const float weight = args.row_weight.empty() ? 1.0f : args.row_weight[b];
  const float positive = args.logits(b, 0);
  double loss = 0;
  float d_positive = 0.0f;
  for (int64_t g = 1; g < args.logits.cols; ++g) {
    const float margin = args.logits(b, g) - positive;
    const float d = sigmoid(margin) * weight * scale;
    loss += static_cast<double>(weight * softplus(margin));
    args.d_logits(b, g) = d;
    d_positive -= d;
  }
  args.d_logits(b, 0) = d_positive;
  return loss;
}

}  // namespace sheaf::loss
