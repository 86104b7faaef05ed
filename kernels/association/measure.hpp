#pragma once
/// Measures of a pair of items, from counts of baskets: c_ij hold both, c_i and c_j hold each, n are all.

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/core/hd.hpp"

namespace sheaf::association {

enum class Measure { support, confidence, lift, leverage, conviction, jaccard, cosine };

/// support c_ij / n, confidence(i -> j) c_ij / c_i, lift n c_ij / (c_i c_j) (Brin et al., 1997), leverage
/// c_ij / n - c_i c_j / n^2 (Piatetsky-Shapiro, 1991), conviction(i -> j) (1 - c_j / n) / (1 - c_ij / c_i), Jaccard
/// c_ij / (c_i + c_j - c_ij), cosine c_ij / sqrt(c_i c_j). 0 where c_i, c_j or n is 0; conviction is +inf where i never
/// comes without j.
SHEAF_HD inline double measure_pair(Measure measure, int64_t c_ij, int64_t c_i, int64_t c_j, int64_t n) {
  if (c_i <= 0 || c_j <= 0 || n <= 0) return 0.0;
  const auto both = static_cast<double>(c_ij), i = static_cast<double>(c_i), j = static_cast<double>(c_j),
             all = static_cast<double>(n);
  switch (measure) {
    case Measure::support: return both / all;
    case Measure::confidence: return both / i;
    case Measure::lift: return all * both / (i * j);
    case Measure::leverage: return both / all - (i / all) * (j / all);
    case Measure::conviction:
      return c_ij == c_i ? std::numeric_limits<double>::infinity() : (1.0 - j / all) / (1.0 - both / i);
    case Measure::jaccard: return both / (i + j - both);
    case Measure::cosine: return both / sqrt(i * j);
  }
  return 0.0;
}

}  // namespace sheaf::association
