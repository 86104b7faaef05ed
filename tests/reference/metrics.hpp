#pragma once
/// Metrics by definition, in double precision.

#include <array>
#include <cstdint>
#include <set>
#include <vector>

namespace sheaf::ref {

/// Recall, precision, hit rate, MRR, NDCG, MAP of one user's list; NaN for an empty truth.
std::array<double, 6> ranking(const std::vector<int32_t>& list, const std::set<int32_t>& truth, int64_t k);

/// Accuracy, log-loss, AUC (all pairs compared), Brier.
std::array<double, 4> binary(const std::vector<float>& probabilities, const std::vector<uint8_t>& labels);

}  // namespace sheaf::ref
