#include <algorithm>
#include <cmath>

#include "tests/reference/loss.hpp"

namespace sheaf::ref {
namespace {

constexpr double kRound = 0x1.0p-24;
constexpr double kDoubleRound = 0x1.0p-53;
constexpr double kTiny = 0x1.0p-126;  // what a float underflow may lose

// Higham's gamma: n roundings one after another, relative.
double gamma(double n, double round) { return n * round / (1.0 - n * round); }

// What an implementation may do, for the bounds: it sums exponentials of a tile of items in kSumLanes floats before it
// adds them to a double, and what it has summed is scaled when a later tile has a larger score.
constexpr double kTileItems = 256.0, kSumLanes = 16.0, kLevels = 4.0;  // kLevels: log2 of kSumLanes

// One user's scores, then in place the gradients of them, each with its error. `parts`: the probability's and the
// target's part of a gradient, which may be summed apart.
struct Row {
  std::vector<double> value, error, parts;
  double loss = 0.0, loss_error = 0.0;
  explicit Row(int64_t n_items) : value(static_cast<size_t>(n_items)), error(value.size()), parts(value.size()) {}
};

void scores_of(const SoftmaxInput& input, size_t u, Row& row) {
  const auto dim = static_cast<size_t>(input.dim);
  for (size_t i = 0; i < row.value.size(); ++i) {
    double score = input.item_bias[i], magnitude = std::abs(score);
    for (size_t c = 0; c < dim; ++c) {
      const double product = input.users[u * dim + c] * input.items[i * dim + c];
      score += product;
      magnitude += std::abs(product);
    }
    row.value[i] = score;
    row.error[i] = gamma(static_cast<double>(dim) + 2.0, kRound) * magnitude;
  }
}

// The largest score is subtracted before exp and added to the logarithm again. Both times it is the same float, so its
// own error cancels. Where the largest so far is subtracted first, the difference is smaller, and so is its rounding.
// Each exponential keeps the score's error, the rounded difference, and expf within 2 units in the last place.
void gradients_of(const SoftmaxInput& input, size_t u, Row& row) {
  const size_t n_items = row.value.size();
  const auto begin = static_cast<size_t>(input.row_offsets[u]), end = static_cast<size_t>(input.row_offsets[u + 1]);
  const double scale = std::abs(input.scale);
  const double largest = *std::max_element(row.value.begin(), row.value.end());
  const double largest_error = *std::max_element(row.error.begin(), row.error.end());
  double weight = 0.0, target_scores = 0.0, target_magnitude = 0.0, target_error = 0.0;
  for (size_t e = begin; e < end; ++e) {
    const auto i = static_cast<size_t>(input.columns[e]);
    weight += input.weights[e];
    target_scores += input.weights[e] * row.value[i];
    target_magnitude += input.weights[e] * std::abs(row.value[i]);
    target_error += input.weights[e] * row.error[i];
  }
  double sum = 0.0, sum_error = 0.0;
  for (size_t i = 0; i < n_items; ++i) {
    const double shifted = row.value[i] - largest;
    const double moved = row.error[i] + kRound * (std::abs(shifted) + row.error[i] + largest_error);
    row.value[i] = std::exp(shifted);
    row.error[i] = row.value[i] * std::expm1(moved + 4.1 * kRound) + kTiny;
    sum += row.value[i];
    sum_error += row.error[i];
  }
  const double in_tile = gamma(kTileItems / kSumLanes + kLevels, kRound);
  const double relative =
      (1.0 + sum_error / sum) * (1.0 + in_tile) - 1.0 + gamma(4.0 * static_cast<double>(n_items), kDoubleRound);
  const double log_sum = std::log(sum) + largest;
  row.loss = input.scale * (weight * log_sum - target_scores);
  row.loss_error = scale * (weight * -std::log1p(-relative) + target_error +
                            gamma(static_cast<double>(end - begin) + 8.0, kDoubleRound) *
                                (weight * (std::abs(largest) + std::abs(std::log(sum))) + target_magnitude));
  for (size_t i = 0; i < n_items; ++i) {
    const double p = row.value[i] / sum;
    const double p_error = (p + row.error[i] / sum) / (1.0 - relative) - p;
    // The factor and the product round once each.
    row.error[i] = scale * weight * (p_error + gamma(3.0, kRound) * (p + p_error) + kTiny);
    row.value[i] = input.scale * weight * p;
    row.parts[i] = std::abs(row.value[i]) + row.error[i];
  }
  for (size_t e = begin; e < end; ++e) {
    const auto i = static_cast<size_t>(input.columns[e]);
    const double target = input.scale * input.weights[e];
    row.value[i] -= target;
    row.error[i] += kRound * (std::abs(target) + std::abs(row.value[i]) + row.error[i]);
    row.parts[i] += std::abs(target);
  }
}

}  // namespace

SoftmaxOutput full_softmax(const SoftmaxInput& input) {
  SoftmaxOutput out{.d_users = Bounded(input.n_users * input.dim),
                    .d_items = Bounded(input.n_items * input.dim),
                    .d_item_bias = Bounded(input.n_items)};
  const auto dim = static_cast<size_t>(input.dim), n_items = static_cast<size_t>(input.n_items);
  // Float sums over the items, then over the targets by product and addition; of a tile the factor and the scaling.
  // Over the users one more addition for each block of them.
  int64_t most_targets = 0;
  for (size_t u = 0; u < static_cast<size_t>(input.n_users); ++u) {
    most_targets = std::max(most_targets, input.row_offsets[u + 1] - input.row_offsets[u]);
  }
  const double n_tiles = std::ceil(static_cast<double>(input.n_items) / kTileItems);
  const double over_items =
      gamma(static_cast<double>(input.n_items) + 2.0 * n_tiles + 2.0 * static_cast<double>(most_targets) + 3.0, kRound);
  const double over_users = gamma(2.0 * static_cast<double>(input.n_users) + 2.0, kRound);
  double magnitude = 0.0;
  Row row(input.n_items);
  for (size_t u = 0; u < static_cast<size_t>(input.n_users); ++u) {
    scores_of(input, u, row);
    gradients_of(input, u, row);
    out.loss += row.loss;
    out.loss_bound += row.loss_error;
    magnitude += std::abs(row.loss);
    for (size_t i = 0; i < n_items; ++i) {
      const double g = row.value[i], error = row.error[i], largest = std::abs(g) + error;
      out.d_item_bias.value[i] += g;
      out.d_item_bias.bound[i] += error + over_users * largest;
      for (size_t c = 0; c < dim; ++c) {
        const double item = input.items[i * dim + c], user = input.users[u * dim + c];
        out.d_users.value[u * dim + c] += g * item;
        out.d_users.bound[u * dim + c] += (error + over_items * row.parts[i]) * std::abs(item);
        out.d_items.value[i * dim + c] += g * user;
        out.d_items.bound[i * dim + c] += (error + over_users * largest) * std::abs(user);
      }
    }
  }
  out.loss_bound += gamma(static_cast<double>(input.n_users) + 1.0, kDoubleRound) * magnitude;
  return out;
}

}  // namespace sheaf::ref
