#pragma once
/// Losses by definition, in double precision.

#include <cstdint>
#include <vector>

namespace sheaf::ref {

/// A batch's logits [n_batch, group], column 0 the positive; row_weight [n_batch].
struct LossInput {
  int64_t n_batch, group;
  std::vector<double> logits;
  std::vector<double> row_weight;
  double positive_weight = 1.0;  // of bce
};

/// The loss and its gradients, and how far float arithmetic may be from them.
struct LossOutput {
  double loss = 0.0;
  double loss_bound = 0.0;
  std::vector<double> d_logits;
  std::vector<double> d_bounds;
};

LossOutput bce(const LossInput& input);
LossOutput bpr(const LossInput& input);

}  // namespace sheaf::ref
