#pragma once
/// Blocked inner products of the CPU backend: one query row against a tile of items, vectorized over the items.
/// Every score is summed over the columns in ascending order, for any tile: the same bits for any blocking. Where the
/// processor that the build is for has fused multiply-adds, the sum is made of them, as in product_scan.hpp.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/core/view.hpp"

namespace sheaf {

inline constexpr int64_t kScoreTile = 64;  // items a tile: eight 8-lane registers

#if defined(__FP_FAST_FMAF)
inline constexpr bool kScoresAreFused = true;
inline float fused_or_not(float a, float b, float sum) { return std::fma(a, b, sum); }
#else
inline constexpr bool kScoresAreFused = false;
inline float fused_or_not(float a, float b, float sum) { return sum + a * b; }
#endif

/// packed[c * tile + j] = items(first + j, c); places past the last item are zero.
inline void pack_tile(MatrixView<const float> items, int64_t first, float* packed, int64_t tile = kScoreTile) {
  const int64_t width = std::min(tile, items.rows - first);
  for (int64_t c = 0; c < items.cols; ++c) {
    float* column = packed + c * tile;
    for (int64_t j = 0; j < width; ++j) column[j] = items(first + j, c);
    std::fill(column + width, column + tile, 0.0f);
  }
}

/// scores[j] = query . item j of the packed tile
inline void score_tile(const float* query, const float* packed, int64_t dim, float* scores) {
  float sums[kScoreTile] = {};
  for (int64_t c = 0; c < dim; ++c) {
    const float q = query[c];
    const float* column = packed + c * kScoreTile;
#pragma omp simd
    for (int64_t j = 0; j < kScoreTile; ++j) sums[j] = fused_or_not(q, column[j], sums[j]);
  }
  std::copy_n(sums, kScoreTile, scores);
}

}  // namespace sheaf
