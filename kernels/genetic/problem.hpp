#pragma once
/// A batch of bundle problems of one shape, as the search kernels see it: plain device arrays.
///
/// One problem: choose a set S of candidates to maximise
///   value(S) = sum over i in S of linear[i]  +  sum over i < j in S of pair[i, j]
/// subject to sizes, must-haves, forbidden candidates, limits (sum of weight over S <= upper), a range of items for
/// each category, at least min_categories different categories, and conflicts (pairs that must not both be chosen).
/// A lower bound of a sum is the upper bound of its negative.
///
/// Violation of S, 0 when feasible: missing or surplus members + missing must-haves + items over or under their
/// category's range + missing categories + conflicts inside S + for each limit max(0, sum - upper) / max(|upper|, 1).
/// Sums of weights are in double precision.

#include <cstdint>

#include "kernels/core/view.hpp"

namespace sheaf::genetic {

inline constexpr int32_t kMaxCandidates = 256;
inline constexpr int32_t kMaskWords = kMaxCandidates / 32;
inline constexpr int32_t kMaxLimits = 16;  // limits

enum CandidateFlag : uint8_t { kMustHave = 1, kForbidden = 2 };

struct SearchProblems {
  int64_t n_problems = 0;
  int32_t n_candidates = 0;  // C, 1 .. 256; pad short problems with kForbidden
  int32_t n_limits = 0;      // R, 0 .. 16
  int32_t min_size = 0;      // 0 <= min_size <= max_size
  int32_t max_size = 0;      // may exceed C
  int32_t min_categories = 0;
  const float* linear = nullptr;          // [n_problems, C] f32
  const float* pair = nullptr;            // [n_problems, C, C] f32, symmetric, diagonal ignored
  const float* weight = nullptr;          // [n_problems, R, C] f32; null for R = 0
  const double* upper = nullptr;          // [n_problems, R] f64, +inf for none; null for R = 0
  const int32_t* category = nullptr;      // [n_problems, C] i32, or null: no categories
  const int32_t* category_min = nullptr;  // [n_problems, C] i32: of the candidate's category; null: 0
  const int32_t* category_max = nullptr;  // [n_problems, C] i32; null: no maximum
  const uint32_t* conflict = nullptr;     // [n_problems, C, 8] bit j of row i: i and j conflict; symmetric; null: none
  const uint8_t* flags = nullptr;         // [n_problems, C] CandidateFlag bits, or null: none
};

/// A set, its value and violation: what the islands keep, pass on between calls and return.
struct SearchSet {
  uint32_t mask[kMaskWords];  // bit j: candidate j is chosen
  float value;
  float violation;
};

/// Throws UsageError in the name of `op`.
void check_problems(const SearchProblems& problems, const char* op);
/// Checks all arrays except linear and pair.
void check_rules(const SearchProblems& problems, const char* op);

/// Bytes of all arrays of the batch, and of all but linear and pair.
int64_t problem_bytes(const SearchProblems& problems);
int64_t rules_bytes(const SearchProblems& problems);

}  // namespace sheaf::genetic
