#pragma once
/// Are chances right? Compares predicted chances with what was found, by the size of the chance (a reliability table:
/// Murphy and Winkler, 1977).

#include <cstdint>
#include <span>
#include <vector>

namespace sheaf {

/// Chances in (low, high], the first from 0 on.
struct ReliabilityBin {
  double low = 0, high = 0;
  int64_t n = 0;        // trials
  double foreseen = 0;  // mean chance, NaN for no trial
  double found = 0;     // share of the trials that came true, NaN likewise
};

/// Trial i is made `trials[i]` times with the chance p[i], and came true `hits[i]` times. Ends of the bins: 0.005,
/// 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1. UsageError for lengths that differ and chances outside [0, 1].
std::vector<ReliabilityBin> reliability(std::span<const double> p, std::span<const double> hits,
                                        std::span<const double> trials);

/// Mean over all trials of |foreseen - found| of their bin: the expected calibration error. NaN without trials.
double calibration_error(const std::vector<ReliabilityBin>& bins);

}  // namespace sheaf
