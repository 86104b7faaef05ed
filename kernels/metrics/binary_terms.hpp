#pragma once
/// The arithmetic of metrics::binary that the backends share.

#include <cmath>

#include "kernels/metrics/binary.hpp"

namespace sheaf::metrics {

/// Additive terms of one example; a NaN probability makes every sum NaN.
struct BinaryTerms {
  double correct = 0, log_loss = 0, squared_error = 0;
};

SHEAF_HD inline BinaryTerms binary_terms(float probability, bool positive) {
  const double p = static_cast<double>(probability);
  if (p != p) return {p, p, p};
  const double clamped = p < 1e-7 ? 1e-7 : (p > 1.0 - 1e-7 ? 1.0 - 1e-7 : p);
  const double label = positive ? 1.0 : 0.0;
  return {(p >= 0.5) == positive ? 1.0 : 0.0, positive ? -log(clamped) : -log(1.0 - clamped),
          (p - label) * (p - label)};
}

/// Unsigned integers in the order of the probabilities (all >= 0).
SHEAF_HD inline uint32_t sort_key(float probability) {
  union {
    float value;
    uint32_t bits;
  } pun{probability + 0.0f};  // -0 becomes 0
  return pun.bits;
}

/// Negatives before a run of equal keys plus half of those inside it, for one of its positives:
/// the average of the negatives below the run and up to its end.
SHEAF_HD inline double auc_term(const uint32_t* sorted_keys, const int64_t* negatives_before, int64_t n, int64_t at) {
  const uint32_t key = sorted_keys[at];
  int64_t low = 0, high = at;
  while (low < high) {  // first place with this key
    const int64_t middle = low + (high - low) / 2;
    if (sorted_keys[middle] < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  int64_t first = at, last = n;
  while (first < last) {  // first place past this key
    const int64_t middle = first + (last - first) / 2;
    if (sorted_keys[middle] <= key) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return 0.5 * static_cast<double>(negatives_before[low] + negatives_before[first]);
}

}  // namespace sheaf::metrics
