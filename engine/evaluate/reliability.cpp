#include "engine/evaluate/reliability.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/core/error.hpp"

namespace sheaf {

std::vector<ReliabilityBin> reliability(std::span<const double> p, std::span<const double> hits,
                                        std::span<const double> trials) {
  constexpr std::array kEnds{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0};
  if (p.size() != hits.size() || p.size() != trials.size()) {
    throw UsageError("reliability: chances, hits and trials differ in length", "give one of each a trial");
  }
  std::vector<ReliabilityBin> bins(kEnds.size());
  std::vector<double> sum(kEnds.size(), 0.0), true_ones(kEnds.size(), 0.0), n(kEnds.size(), 0.0);
  for (size_t i = 0; i < p.size(); ++i) {
    if (!(p[i] >= 0.0 && p[i] <= 1.0)) throw UsageError("reliability: a chance outside [0, 1]", "give probabilities");
    const auto bin = static_cast<size_t>(std::ranges::lower_bound(kEnds, p[i]) - kEnds.begin());
    sum[bin] += p[i] * trials[i];
    true_ones[bin] += hits[i];
    n[bin] += trials[i];
  }
  for (size_t b = 0; b < bins.size(); ++b) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    bins[b] = {.low = b == 0 ? 0.0 : kEnds[b - 1],
               .high = kEnds[b],
               .n = std::llround(n[b]),
               .foreseen = n[b] > 0 ? sum[b] / n[b] : kNone,
               .found = n[b] > 0 ? true_ones[b] / n[b] : kNone};
  }
  return bins;
}

double calibration_error(const std::vector<ReliabilityBin>& bins) {
  double error = 0.0, n = 0.0;
  for (const ReliabilityBin& bin : bins) {
    if (bin.n == 0) continue;
    error += static_cast<double>(bin.n) * std::abs(bin.foreseen - bin.found);
    n += static_cast<double>(bin.n);
  }
  return n > 0 ? error / n : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace sheaf
