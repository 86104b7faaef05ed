#pragma once
/// What both backends derive from a problem before its local searches start, element by element.

#include <cstdint>

#include "kernels/core/hd.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

SHEAF_HD inline bool is_flagged(const SearchProblems& problems, int64_t p, int32_t j, uint8_t flag) {
  return problems.flags != nullptr && (problems.flags[p * problems.n_candidates + j] & flag) != 0;
}

/// The rules of categories and conflicts cost time in every move. Without them a shorter kernel runs.
SHEAF_HD inline bool has_side_rules(const SearchProblems& problems) {
  const bool ranges = problems.category_min != nullptr || problems.category_max != nullptr;
  return problems.conflict != nullptr || (problems.category != nullptr && (ranges || problems.min_categories > 0));
}

/// The lowest candidate of j's category.
SHEAF_HD inline int32_t category_head(const SearchProblems& problems, int64_t p, int32_t j) {
  if (problems.category == nullptr) return 0;
  const int32_t* category = problems.category + p * problems.n_candidates;
  for (int32_t i = 0; i < j; ++i) {
    if (category[i] == category[j]) return i;
  }
  return j;
}

/// Greedy's price of a candidate: its largest share of a limit.
SHEAF_HD inline float candidate_cost(const SearchProblems& problems, int64_t p, int32_t j) {
  float cost = 0x1.0p-20f;
  if (problems.n_limits == 0) return 1.0f;
  for (int32_t r = 0; r < problems.n_limits; ++r) {
    const int64_t row = p * problems.n_limits + r;
    const double upper = problems.upper[row];
    const float share = static_cast<float>(static_cast<double>(problems.weight[row * problems.n_candidates + j]) /
                                           (upper > 1.0 ? upper : 1.0));
    cost = share > cost ? share : cost;
  }
  return cost;
}

/// The largest |weight| of a limit over the candidates, never 0.
SHEAF_HD inline float heaviest_weight(const SearchProblems& problems, int64_t p, int32_t r) {
  const float* weight = problems.weight + (p * problems.n_limits + r) * problems.n_candidates;
  float most = 0x1.0p-60f;
  for (int32_t j = 0; j < problems.n_candidates; ++j) {
    const float size = weight[j] < 0.0f ? -weight[j] : weight[j];
    most = size > most ? size : most;
  }
  return most;
}

}  // namespace sheaf::genetic
