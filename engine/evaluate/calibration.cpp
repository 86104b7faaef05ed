#include "engine/evaluate/calibration.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/core/philox.hpp"

namespace sheaf {
namespace {

constexpr int64_t kCalibrationNegatives = 20;
constexpr int kMaxTries = 64;  // draws for an item that the user did not buy

struct Example {
  double x, target, weight;
};

double negative_log_likelihood(const std::vector<Example>& examples, double slope, double offset) {
  double sum = 0;
  for (const auto& [x, target, weight] : examples) {
    const double z = slope * x + offset;
    // target * log(1 + e^-z) + (1 - target) * log(1 + e^z)
    const double tail = std::log1p(std::exp(-std::abs(z)));
    sum += weight * (tail + (z >= 0 ? (1.0 - target) * z : -target * z));
  }
  return sum;
}

}  // namespace

Calibration fit_platt(std::span<const float> logits, std::span<const uint8_t> labels, std::span<const float> weights) {
  double positives = 0, negatives = 0;
  const auto weight_of = [&](size_t i) { return weights.empty() ? 1.0 : static_cast<double>(weights[i]); };
  for (size_t i = 0; i < labels.size(); ++i) (labels[i] ? positives : negatives) += weight_of(i);
  if (positives == 0 || negatives == 0) return {};
  const double high = (positives + 1) / (positives + 2), low = 1 / (negatives + 2);
  std::vector<Example> examples;
  for (size_t i = 0; i < labels.size(); ++i) {
    examples.push_back({static_cast<double>(logits[i]), labels[i] ? high : low, weight_of(i)});
  }
  double slope = 0, offset = std::log((positives + 1) / (negatives + 1));
  double loss = negative_log_likelihood(examples, slope, offset);
  for (int step = 0; step < 100; ++step) {
    double g_slope = 0, g_offset = 0, h_ss = 1e-12, h_so = 0, h_oo = 1e-12;
    for (const auto& [x, target, weight] : examples) {
      const double p = 1 / (1 + std::exp(-(slope * x + offset)));
      const double d = weight * (p - target), h = weight * p * (1 - p);
      g_slope += d * x;
      g_offset += d;
      h_ss += h * x * x;
      h_so += h * x;
      h_oo += h;
    }
    const double determinant = h_ss * h_oo - h_so * h_so;
    const double d_slope = -(h_oo * g_slope - h_so * g_offset) / determinant;
    const double d_offset = -(h_ss * g_offset - h_so * g_slope) / determinant;
    if (!std::isfinite(d_slope) || !std::isfinite(d_offset)) break;
    double rate = 1, next = loss;
    for (; rate > 1e-10; rate /= 2) {
      next = negative_log_likelihood(examples, slope + rate * d_slope, offset + rate * d_offset);
      if (next < loss) break;
    }
    if (next >= loss) break;
    slope += rate * d_slope;
    offset += rate * d_offset;
    if (loss - next < 1e-10 * std::abs(loss)) break;
    loss = next;
  }
  return {slope, offset};
}

LabelledPairs draw_pairs(const HostCsr& held_out, int64_t negatives, uint64_t seed) {
  LabelledPairs pairs;
  const RandomKey key{seed, Purpose::evaluation, 0};
  int64_t n_bought = 0, n_users = 0;
  for (int64_t u = 0; u < held_out.n_rows(); ++u) {
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

std::vector<float> logits_of(Context& context, const LinearScorer& scorer, const LabelledPairs& pairs) {
  return pair_logits(context, scorer, pairs.users, pairs.items, 1);
}

Calibration calibrate(Context& context, const LinearScorer& scorer, const HostCsr& held_out, uint64_t seed) {
  const LabelledPairs pairs = draw_pairs(held_out, kCalibrationNegatives, seed);
  const auto drawn = static_cast<double>(std::ranges::count(pairs.labels, 0));
  const auto bought = static_cast<double>(pairs.labels.size()) - drawn;
  if (drawn == 0 || bought == 0) return {};
  const auto stands_for = static_cast<float>(pairs.negatives_per_positive * bought / drawn);
  std::vector<float> weights;
  for (const uint8_t label : pairs.labels) weights.push_back(label ? 1.0f : stands_for);
  return fit_platt(logits_of(context, scorer, pairs), pairs.labels, weights);
}

}  // namespace sheaf
