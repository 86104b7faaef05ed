#pragma once
/// What every linear preference model boils down to for scoring, on the device:
///   logit(u, i) = users[u, :] . items[i, :] + user_bias[u] + item_bias[i] + bias
///   P(u, i) = sigmoid(slope * users[u, :] . items[i, :] + bias_slope * (user_bias[u] + item_bias[i] + bias) + offset)
/// Calibration is fitted on the validation period (Platt, 1999, with a slope for each of the two parts: popularity and taste are not
/// overconfident alike); it is the identity before that. Rankings use the logit.

#include <vector>

#include "kernels/core/buffer.hpp"

namespace sheaf {

struct Calibration {
  double slope = 1.0;
  double bias_slope = 1.0;
  double offset = 0.0;
};

struct LinearScorer {
  int64_t n_users = 0;
  int64_t n_items = 0;
  int64_t dim = 0;
  Buffer<float> users;      // [n_users, dim] f32
  Buffer<float> items;      // [n_items, dim] f32
  Buffer<float> user_bias;  // [n_users] f32
  Buffer<float> item_bias;  // [n_items] f32
  Buffer<float> bias;       // [1] f32
  Calibration calibration;

  MatrixView<const float> user_matrix() const { return users.matrix(n_users, dim); }
  MatrixView<const float> item_matrix() const { return items.matrix(n_items, dim); }
};

/// The calibration folded into the parameters: P(u, i) = sigmoid of this scorer's logit.
LinearScorer probability_scorer(Context& context, const LinearScorer& scorer);

/// Logits of `group` items for each user: items is [users.size(), group] row-major, the result likewise.
std::vector<float> pair_logits(Context& context, const LinearScorer& scorer, const std::vector<int32_t>& users,
                               const std::vector<int32_t>& items, int64_t group);

}  // namespace sheaf
