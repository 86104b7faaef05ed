#include "tests/reference/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sheaf::ref {

std::array<double, 6> ranking(const std::vector<int32_t>& list, const std::set<int32_t>& truth, int64_t k) {
  std::array<double, 6> out;
  out.fill(std::numeric_limits<double>::quiet_NaN());
  if (truth.empty()) return out;
  const auto n_ideal = std::min<int64_t>(k, static_cast<int64_t>(truth.size()));
  double hits = 0, reciprocal = 0, gain = 0, ideal = 0, precisions = 0;
  for (int64_t r = 1; r <= k; ++r) {
    const auto rank = static_cast<double>(r);
    if (r <= n_ideal) ideal += 1.0 / std::log2(rank + 1.0);
    if (!truth.count(list[static_cast<size_t>(r - 1)])) continue;
    hits += 1;
    if (reciprocal == 0) reciprocal = 1.0 / rank;
    gain += 1.0 / std::log2(rank + 1.0);
    precisions += hits / rank;
  }
  return {hits / static_cast<double>(truth.size()),
          hits / static_cast<double>(k),
          hits > 0 ? 1.0 : 0.0,
          reciprocal,
          gain / ideal,
          precisions / static_cast<double>(n_ideal)};
}

std::array<double, 4> binary(const std::vector<float>& probabilities, const std::vector<uint8_t>& labels) {
  double correct = 0, log_loss = 0, squares = 0, wins = 0, pairs = 0;
  const auto n = static_cast<double>(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const double p = probabilities[i];
    const double clamped = std::clamp(p, 1e-7, 1.0 - 1e-7);
    const double y = labels[i];
    correct += (p >= 0.5) == (labels[i] == 1) ? 1.0 : 0.0;
    log_loss -= y * std::log(clamped) + (1.0 - y) * std::log(1.0 - clamped);
    squares += (p - y) * (p - y);
    for (size_t j = 0; labels[i] == 1 && j < labels.size(); ++j) {
      if (labels[j] == 1) continue;
      pairs += 1;
      if (probabilities[i] > probabilities[j]) wins += 1.0;
      if (probabilities[i] == probabilities[j]) wins += 0.5;
    }
  }
  return {correct / n, log_loss / n, wins / pairs, squares / n};
}

}  // namespace sheaf::ref
