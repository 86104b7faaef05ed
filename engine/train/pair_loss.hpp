#pragma once
/// The loss of drawn pairs over vectors that a network makes. Each purchase stands beside items that were not bought
/// (kernels/sample/batch.hpp):
///
///   logit(u, i) = users[u, :] . items[i, :] + item_bias[i]
///
/// The loss is BPR or BCE (kernels/loss). The gradients are those of all rows of the vectors, since a network behind
/// them needs them all; where rows of tables are learned themselves, engine/train/pair_step.hpp updates only the rows
/// that a batch touches. Deterministic, the same bits on any number of threads.

#include <cstdint>

#include "engine/train/pair_step.hpp"

namespace sheaf {

/// What pairs are scored by.
struct PairSides {
  MatrixView<const float> users;      // [n_users, dim]
  MatrixView<const float> items;      // [n_items, dim]
  VectorView<const float> item_bias;  // [n_items]
};
/// Of the same shapes, overwritten.
struct PairGradients {
  MatrixView<float> users, items;
  VectorView<float> item_bias;
};

/// The purchases at places first .. first + n - 1 of the order that `round` draws, each with params.negatives items.
struct PairDraw {
  uint32_t round = 0;
  int64_t first = 0, n = 0;
};

/// Adds the mean loss of the drawn pairs and sets the gradients. params.loss is bpr or bce; it reads the seed, the
/// negatives and positive_weight, too.
void pair_loss(Context& context, const Positives& positives, const TrainParams& params, const PairDraw& draw,
               const PairSides& of, const PairGradients& gradients, VectorView<double> loss);

}  // namespace sheaf
