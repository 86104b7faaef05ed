#pragma once
/// The dense score functions and their gradients by definition, in double precision. A batch entry b has its own group
/// of items: rows b * group .. b * group + group - 1.

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

/// A matrix [n, n] and how far float arithmetic may be from it, element by element.
struct BoundedMatrix {
  std::vector<double> value, bound;
};

/// The inverse of a symmetric positive definite matrix [n, n] by Cholesky, X = R^-1 and X X^T. The bound is what
/// dense::spd_inverse states, and u for the rounding of the result. Twice that covers the terms of second order while
/// the bound is well below the values.
BoundedMatrix spd_inverse(int64_t n, const std::vector<double>& matrix);

/// A = S L L^T S and its inverse [n, n], exact in float at every step of any elimination that takes the pivots in
/// order. L = I + N, where N holds whole numbers, sums of `per_row` draws of -1 or 1, at odd rows and even columns
/// below the diagonal. So N N = 0 and L^-1 = I - N. S is a diagonal of powers of two, pivots are its squares, and
/// everything else is whole numbers times powers of two.
struct ExactInverse {
  std::vector<float> matrix, inverse;
};
ExactInverse exact_inverse(int64_t n, int64_t per_row, uint32_t seed);

/// dense::gram of x [n, dim], in long double.
Sums gram(int64_t n, int64_t dim, const std::vector<float>& x);

/// dense::ease_weights of P [n, n].
std::vector<double> ease_weights(int64_t n, const std::vector<double>& inverse);

/// x [rows, cols] after dense::dropout, the mask drawn one element at a time.
std::vector<double> dropout(const std::vector<double>& x, int64_t cols, float rate, RandomKey key, int64_t first_row);

}  // namespace sheaf::ref
