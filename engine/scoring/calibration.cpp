#include "engine/scoring/calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/data/csr.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf {
namespace {

constexpr int kMaxTries = 64;  // draws for an item that the user did not buy

constexpr size_t kSize = 2;
using Vector = std::array<double, kSize>;  // slope, offset

struct Example {
  Vector x;
  double target, weight;
};

double inner(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1]; }

double negative_log_likelihood(const std::vector<Example>& examples, const Vector& theta) {
  check_interrupt("the calibration");
  double sum = 0;
  for (const auto& [x, target, weight] : examples) {
    const double z = inner(x, theta);
    // target * log(1 + e^-z) + (1 - target) * log(1 + e^z)
    const double tail = std::log1p(std::exp(-std::abs(z)));
    sum += weight * (tail + (z >= 0 ? (1.0 - target) * z : -target * z));
  }
  return sum;
}

/// Solves h y = g for a symmetric positive definite h by Cholesky's decomposition.
Vector solve(std::array<Vector, kSize> h, Vector g) {
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = h[i][j];
      for (size_t k = 0; k < j; ++k) sum -= h[i][k] * h[j][k];
      h[i][j] = i == j ? std::sqrt(sum) : sum / h[j][j];
    }
  }
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t k = 0; k < i; ++k) g[i] -= h[i][k] * g[k];
    g[i] /= h[i][i];
  }
  for (size_t i = kSize; i-- > 0;) {
    for (size_t k = i + 1; k < kSize; ++k) g[i] -= h[k][i] * g[k];
    g[i] /= h[i][i];
  }
  return g;
}

/// Newton's step: minus the inverse Hessian times the gradient. A small ridge keeps the slope of a part that never
/// varies.
Vector newton_step(const std::vector<Example>& examples, const Vector& theta) {
  constexpr double kRidge = 1e-9;
  Vector gradient{};
  std::array<Vector, kSize> hessian{};
  double total = 0;
  for (const auto& [x, target, weight] : examples) {
    const double p = 1 / (1 + std::exp(-inner(x, theta)));
    const double d = weight * (p - target), h = weight * p * (1 - p);
    total += weight;
    for (size_t i = 0; i < kSize; ++i) {
      gradient[i] -= d * x[i];
      for (size_t j = 0; j <= i; ++j) hessian[i][j] += h * x[i] * x[j];
    }
  }
  for (size_t i = 0; i < kSize; ++i) hessian[i][i] += kRidge * total;
  return solve(hessian, gradient);
}

}  // namespace

Calibration fit_platt(std::span<const float> scores, std::span<const uint8_t> labels, std::span<const float> weights) {
  double positives = 0, negatives = 0;
  const auto weight_of = [&](size_t i) { return weights.empty() ? 1.0 : static_cast<double>(weights[i]); };
  for (size_t i = 0; i < labels.size(); ++i) (labels[i] ? positives : negatives) += weight_of(i);
  if (positives == 0 || negatives == 0) return {};
  const double high = (positives + 1) / (positives + 2), low = 1 / (negatives + 2);
  std::vector<Example> examples;
  for (size_t i = 0; i < labels.size(); ++i) {
    examples.push_back({{static_cast<double>(scores[i]), 1.0}, labels[i] ? high : low, weight_of(i)});
  }
  Vector theta{0, std::log((positives + 1) / (negatives + 1))};
  double loss = negative_log_likelihood(examples, theta);
  for (int step = 0; step < 100; ++step) {
    const Vector direction = newton_step(examples, theta);
    if (!std::ranges::all_of(direction, [](double d) { return std::isfinite(d); })) break;
    Vector next = theta;
    double next_loss = loss;
    for (double rate = 1; rate > 1e-10; rate /= 2) {
      for (size_t i = 0; i < kSize; ++i) next[i] = theta[i] + rate * direction[i];
      next_loss = negative_log_likelihood(examples, next);
      if (next_loss < loss) break;
    }
    if (next_loss >= loss) break;
    theta = next;
    const bool settled = loss - next_loss < 1e-10 * std::abs(loss);
    loss = next_loss;
    if (settled) break;
  }
  return {theta[0], theta[1]};
}

LabelledPairs draw_pairs(const HostCsr& held_out, int64_t negatives, uint64_t seed) {
  LabelledPairs pairs;
  const RandomKey key{seed, Purpose::evaluation, 0};
  int64_t n_bought = 0, n_users = 0;
  for (int64_t u = 0; u < held_out.n_rows(); ++u) {
    check_interrupt("the calibration");
    const auto bought = held_out.row(u);
    n_bought += static_cast<int64_t>(bought.size());
    n_users += bought.empty() ? 0 : 1;
    uint32_t draw = 0;
    const auto add = [&](int32_t item, uint8_t label) {
      pairs.users.push_back(static_cast<int32_t>(u));
      pairs.items.push_back(item);
      pairs.labels.push_back(label);
    };
    for (const int32_t item : bought) {
      add(item, 1);
      for (int64_t n = 0; n < negatives; ++n) {
        for (int tries = 0; tries < kMaxTries; ++tries) {
          const auto other = static_cast<int32_t>(
              bounded(random_u32(key, static_cast<uint64_t>(u), draw++), static_cast<uint32_t>(held_out.n_columns)));
          if (held_out.contains(u, other)) continue;
          add(other, 0);
          break;
        }
      }
    }
  }
  if (n_bought > 0) {
    pairs.negatives_per_positive =
        static_cast<double>(n_users * held_out.n_columns - n_bought) / static_cast<double>(n_bought);
  }
  return pairs;
}

std::vector<float> scores_of(Context& context, const Scorer& scorer, const LabelledPairs& pairs) {
  return pair_scores(context, scorer, Queries(context, pairs.users), pairs.items, 1);
}

HeadPairs head_pairs(Context& context, const Scorer& scorer, const HostCsr& held_out, int64_t length) {
  HeadPairs pairs;
  std::vector<int32_t> users;
  for (int64_t u = 0; u < held_out.n_rows(); ++u) {
    if (!held_out.row(u).empty()) users.push_back(static_cast<int32_t>(u));
  }
  if (users.empty()) return pairs;
  const Queries queries(context, users);
  const int64_t listed = std::min(length, scorer.n_items());
  const std::vector<int32_t> items = scorer.top_k(context, queries, listed).items.to_host();
  const std::vector<float> scores = pair_scores(context, scorer, queries, items, listed);
  for (size_t at = 0; at < items.size(); ++at) {
    if (items[at] < 0) continue;
    pairs.scores.push_back(scores[at]);
    pairs.labels.push_back(held_out.contains(users[at / static_cast<size_t>(listed)], items[at]) ? 1 : 0);
  }
  return pairs;
}

Calibration calibrate(Context& context, const Scorer& scorer, const HostCsr& held_out) {
  const HeadPairs pairs = head_pairs(context, scorer, held_out);
  const Calibration fitted = fit_platt(pairs.scores, pairs.labels, {});
  if (std::ranges::count(pairs.labels, 1) == 0 || fitted.slope >= 0.0) return fitted;
  return fit_platt(std::vector<float>(pairs.scores.size(), 0.0f), pairs.labels, {});
}

}  // namespace sheaf
