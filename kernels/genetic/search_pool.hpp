#pragma once
/// The pool of a problem: the best different sets, best first.

#include <cstdint>

#include "kernels/core/hd.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

inline constexpr int32_t kMaxLocalSearches = 32;

/// 1: the first is better, -1: the second, 0: the same set. Feasible before infeasible, then value or violation, then
/// the mask.
SHEAF_HD inline int32_t compare_sets(const SearchSet& a, const SearchSet& b) {
  if (a.violation != b.violation) return a.violation < b.violation ? 1 : -1;
  if (!(a.violation > 0.0f) && a.value != b.value) return a.value > b.value ? 1 : -1;
  for (int32_t w = 0; w < kMaskWords; ++w) {
    if (a.mask[w] != b.mask[w]) return a.mask[w] < b.mask[w] ? 1 : -1;
  }
  return 0;
}

/// The place of set `i` of `sets` in the sorted pool. Copies come after all others, in their order.
SHEAF_HD inline int32_t pool_rank(const SearchSet* sets, int32_t n, int32_t i) {
  const auto is_copy = [&](int32_t k) {
    for (int32_t j = 0; j < k; ++j) {
      if (compare_sets(sets[j], sets[k]) == 0) return true;
    }
    return false;
  };
  const bool copy = is_copy(i);
  int32_t rank = 0;
  for (int32_t k = 0; k < n; ++k) {
    if (k == i) continue;
    const bool other = is_copy(k);
    if (copy) {
      rank += !other || k < i ? 1 : 0;
    } else {
      rank += !other && compare_sets(sets[k], sets[i]) > 0 ? 1 : 0;
    }
  }
  return rank;
}

/// Whether the hotter local search gives its set to the colder one in exchange. Pairs (0, 1), (2, 3) ... in even
/// rounds, (1, 2) ... in odd ones.
SHEAF_HD inline bool exchanges(const SearchSet* current, int32_t cold, int32_t round, int32_t n_searches) {
  return cold % 2 == round % 2 && cold + 1 < n_searches && compare_sets(current[cold + 1], current[cold]) > 0;
}

}  // namespace sheaf::genetic
