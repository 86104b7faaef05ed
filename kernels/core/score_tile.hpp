#pragma once
/// Blocked inner products of the CPU backend: one query row against a tile of items, vectorized over the items.
/// Every score is summed over the columns in ascending order, for any tile: the same bits for any blocking.

#include <algorithm>
#include <cstdint>

#include "kernels/core/view.hpp"

namespace sheaf {

inline constexpr int64_t kScoreTile = 64;  // items a tile: eight 8-lane registers

/// packed[c * kScoreTile + j] = items(first + j, c); places past the last item are zero.
inline void pack_tile(MatrixView<const float> items, int64_t first, float* packed) {
  const int64_t width = std::min(kScoreTile, items.rows - first);
  for (int64_t c = 0; c < items.cols; ++c) {
    float* column = packed + c * kScoreTile;
    for (int64_t j = 0; j < width; ++j) column[j] = items(first + j, c);
    std::fill(column + width, column + kScoreTile, 0.0f);
  }
}

/// scores[j] = query . item j of the packed tile
inline void score_tile(const float* query, const float* packed, int64_t dim, float* scores) {
  float sums[kScoreTile] = {};
  for (int64_t c = 0; c < dim; ++c) {
    const float q = query[c];
    const float* column = packed + c * kScoreTile;
#pragma omp simd
    for (int64_t j = 0; j < kScoreTile; ++j) sums[j] += q * column[j];
  }
  std::copy_n(sums, kScoreTile, scores);
}

}  // namespace sheaf
