#pragma once
/// Losses by definition, in double precision.

#include <cstddef>
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

/// Users [n_users, dim] against the whole catalog of items [n_items, dim]; targets in compressed rows with their
/// weights.
struct SoftmaxInput {
  int64_t n_users, n_items, dim;
  std::vector<double> users, items, item_bias;
  std::vector<int64_t> row_offsets;
  std::vector<int32_t> columns;
  std::vector<double> weights;
  double scale = 1.0;
};

/// Values, and beside each how far float arithmetic may be from it.
struct Bounded {
  std::vector<double> value, bound;
  explicit Bounded(int64_t size) : value(static_cast<size_t>(size)), bound(value.size()) {}
};

struct SoftmaxOutput {
  double loss = 0.0;
  double loss_bound = 0.0;
  Bounded d_users, d_items, d_item_bias;
};

SoftmaxOutput full_softmax(const SoftmaxInput& input);

}  // namespace sheaf::ref
