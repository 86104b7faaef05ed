#pragma once
/// What a local search reads and writes: a prepared problem, its memory and its job.

#include <cstdint>

#include "kernels/genetic/search.hpp"

namespace sheaf::genetic {

inline constexpr int32_t kNone = kMaxCandidates;  // no candidate
inline constexpr float kNever = -__builtin_huge_valf();

/// A prepared problem: rows padded to `stride` candidates.
struct SearchView {
  int32_t n = 0, stride = 0, n_limits = 0, min_size = 0, max_size = 0, min_categories = 0;
  const float* linear = nullptr;  // [stride]
  const float* pair = nullptr;    // [n, stride]
  const float* weight = nullptr;  // [n_limits, stride]
  const double* upper = nullptr;  // [n_limits]
  const float* closed = nullptr;  // [stride] 0, or -inf for forbidden candidates and padding
  /// [stride] the lowest candidate of its category. Null without side rules, like the next ones.
  const float* category = nullptr;
  const float* category_min = nullptr;
  const float* category_max = nullptr;
  const float* conflict_rows = nullptr;     // [n, stride] 1 for conflicts, or null
  const uint32_t* conflict_bits = nullptr;  // [n, kMaskWords], or null
  const uint32_t* must = nullptr;           // [kMaskWords]
  const float* cost = nullptr;  // [stride] greedy's price of a candidate: the largest weight / upper, at least 2^-20
  const float* heaviest = nullptr;  // [n_limits] largest |weight|
};

/// A member that may leave, or none: what the set would be without it.
template <int kLimits>
struct SwapRow {
  const float* pair;
  float loss;      // h of the member
  float bar;       // -inf while it must stay (tabu), unless a new best is reached
  float wrong;     // broken counts without it; the newcomer's share is not in it
  float distinct;  // categories without it
  float category;
  int32_t id;
  float room[kLimits];
};

/// Memory of a local search. The arrays have `stride` elements, `rows` one more than a set may hold.
template <int kLimits>
struct LocalSearchMemory {
  float* h;         // linear + pair x: what each candidate would add to the value
  float* until;     // last iteration of a tabu
  float* in;        // 0 outside, -inf for members and closed ones
  float* count;     // members of the candidate's category
  float* conflict;  // members in conflict with the candidate
  float* x;         // of the relaxed choice
  SwapRow<kLimits>* rows;
  uint32_t* mask;       // [kMaskWords]
  uint32_t* best_mask;  // [kMaskWords]
};

/// One round of one local search.
struct LocalSearchJob {
  SearchParams params;
  int64_t problem_id;
  int32_t round;          // counted over all calls
  int32_t number;         // of the local search, below params.local_searches
  const SearchSet* pool;  // [params.local_searches] of the round before; null in the first
};

}  // namespace sheaf::genetic
