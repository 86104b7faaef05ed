#pragma once
/// The arithmetic of one row of loss::bce, which both backends include.

#include "kernels/core/math.hpp"
#include "kernels/loss/bce.hpp"

namespace sheaf::loss {

/// One row: writes its gradients, returns the sum of its losses. `scale` is 1 / (n_batch * group).
SHEAF_HD inline double bce_row(const BceArgs& args, int64_t b, float scale) {
  const float row_weight = args.row_weight.empty() ? 1.0f : args.row_weight[b];
  double loss = 0;
  for (int64_t g = 0; g < args.logits.cols; ++g) {
    const float x = args.logits(b, g);
    const float label = g == 0 ? 1.0f : 0.0f;
    const float weight = g == 0 ? args.positive_weight * row_weight : row_weight;
    loss += static_cast<double>(weight * (softplus(x) - label * x));
    args.d_logits(b, g) = weight * (sigmoid(x) - label) * scale;
  }
  return loss;
}

}  // namespace sheaf::loss
