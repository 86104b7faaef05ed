#pragma once
/// The dense score functions and their gradients by definition, in double precision. A batch entry b has its own group of
/// items: rows b * group .. b * group + group - 1.

#include <cstdint>
#include <vector>

#include "kernels/core/philox.hpp"
#include "tests/reference/sums.hpp"

namespace sheaf::ref {

struct Batch {
  int64_t n_batch, group, dim;
};

/// logits [n_batch, group] of dense::dot_scores.
Sums dot_scores(const Batch& shape, const std::vector<double>& users, const std::vector<double>& items,
                const std::vector<double>& user_bias, const std::vector<double>& item_bias, double bias);

struct DotGradients {
  Sums users, items, user_bias, bias;
};
DotGradients dot_scores_backward(const Batch& shape, const std::vector<double>& users, const std::vector<double>& items,
                                 const std::vector<double>& d_logits);

/// logits [n_batch, group] of dense::additive_scores.
Sums additive_scores(const Batch& shape, const std::vector<double>& users, const std::vector<double>& items,
                     const std::vector<double>& w_user, const std::vector<double>& w_item, double bias);

struct AdditiveGradients {
  Sums users, items, w_user, w_item, bias;
};
AdditiveGradients additive_scores_backward(const Batch& shape, const std::vector<double>& users,
                                           const std::vector<double>& items, const std::vector<double>& w_user,
                                           const std::vector<double>& w_item, const std::vector<double>& d_logits);

/// Logits turned into probabilities: sigmoid(slope * logit + offset).
struct Calibration {
  double slope, offset;
};

/// An item's probabilities over the users, their mean or sum, and how far float arithmetic may be from it.
struct Mean {
  double value = 0.0;
  double bound = 0.0;
};

/// dense::mean_probability [n_items]; users [n_users, dim], items [n_items, dim].
std::vector<Mean> mean_probability(int64_t dim, const std::vector<double>& users, const std::vector<double>& items,
                                   const std::vector<double>& user_bias, const std::vector<double>& item_bias,
                                   double bias, Calibration calibration);

/// sums [n_items] after dense::mean_sigmoid; scores [n, n_items], finite.
std::vector<Mean> mean_sigmoid(const std::vector<double>& scores, const std::vector<double>& sums, double weight,
                               Calibration calibration);

/// x [rows, cols] after dense::dropout, the mask drawn one element at a time.
std::vector<double> dropout(const std::vector<double>& x, int64_t cols, float rate, RandomKey key, int64_t first_row);

}  // namespace sheaf::ref
