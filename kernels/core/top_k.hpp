#pragma once
/// Selection of the k best (score, id) pairs by one total order: score descending, NaN after every number, then id
/// ascending.

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/core/hd.hpp"

namespace sheaf {

SHEAF_HD inline bool ranks_before(float score_a, int32_t id_a, float score_b, int32_t id_b) {
  const bool nan_a = score_a != score_a;
  const bool nan_b = score_b != score_b;
  if (nan_a != nan_b) return nan_b;
  if (!nan_a && score_a != score_b) return score_a > score_b;
  return id_a < id_b;
}

/// A sorted list in memory that the caller owns. An insertion costs O(k), a rejected candidate one comparison.
struct TopKList {
  float* scores;  // [k]
  int32_t* ids;   // [k]
  int32_t k;
  int32_t size = 0;

  SHEAF_HD bool accepts(float score, int32_t id) const {
    return size < k || ranks_before(score, id, scores[k - 1], ids[k - 1]);
  }
  /// The caller has checked accepts().
  SHEAF_HD void insert(float score, int32_t id) {
    int32_t place = size < k ? size++ : k - 1;
    while (place > 0 && ranks_before(score, id, scores[place - 1], ids[place - 1])) {
      scores[place] = scores[place - 1];
      ids[place] = ids[place - 1];
      --place;
    }
    scores[place] = score;
    ids[place] = id;
  }
  SHEAF_HD void fill_rest(float score, int32_t id) const {
    for (int32_t place = size; place < k; ++place) {
      scores[place] = score;
      ids[place] = id;
    }
  }
};

}  // namespace sheaf
