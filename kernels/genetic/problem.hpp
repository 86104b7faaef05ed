#pragma once
/// A batch of bundle problems of one shape, as the search kernels see it: plain device arrays.
///
/// One problem: choose a set S of candidates to maximise
///   value(S) = sum over i in S of linear[i]  +  sum over i < j in S of pair[i, j]
/// subject to min_size <= |S| <= max_size, sum of price over S <= budget, at least min_categories different categories in S,
/// every must-have candidate in S, no forbidden candidate in S. (A quadratic knapsack: Gallo, Hammer, Simeone, 1980.)
///
/// Violation of S, 0 when feasible: missing or surplus members + missing must-haves + forbidden members + missing categories
/// + max(0, price - budget) / max(budget, 1). It orders infeasible sets and is reported when nothing feasible was found.

#include <cstdint>

#include "kernels/core/view.hpp"

namespace sheaf::genetic {

inline constexpr int64_t kMaxCandidates = 256;
inline constexpr int64_t kMaxSize = 16;

enum CandidateFlag : uint8_t { kMustHave = 1, kForbidden = 2 };

struct Problems {
  int64_t n_problems = 0;
  int64_t n_candidates = 0;  // C <= kMaxCandidates; pad short problems with forbidden candidates
  int32_t min_size = 2;      // 1 <= min_size <= max_size <= kMaxSize
  int32_t max_size = 4;
  int32_t min_categories = 0;
  const float* linear = nullptr;      // [n_problems, C] f32
  const float* pair = nullptr;        // [n_problems, C, C] f32, symmetric, diagonal ignored
  const float* price = nullptr;       // [n_problems, C] f32 >= 0, in the currency of the data
  const int32_t* category = nullptr;  // [n_problems, C] i32 >= 0
  const uint8_t* flags = nullptr;     // [n_problems, C] CandidateFlag bits
  const float* budget = nullptr;      // [n_problems] f32, +inf for none
};

}  // namespace sheaf::genetic
