#pragma once
/// The arithmetic of one user of metrics::ranking, which both backends include.

#include <cmath>

#include "kernels/metrics/ranking.hpp"

namespace sheaf::metrics {

SHEAF_HD inline bool row_holds(const CsrView& truth, int64_t row, int32_t item) {
  int64_t low = truth.row_offsets[row];
  int64_t high = truth.row_offsets[row + 1];
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (truth.columns[middle] < item) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < truth.row_offsets[row + 1] && truth.columns[low] == item;
}

SHEAF_HD inline void rank_user(const RankingArgs& args, int64_t u) {
  const int64_t n = args.truth.row_size(u);
  if (n == 0) {
    for (int c = 0; c < kRankingColumns; ++c) args.per_user(u, c) = nanf("");
    return;
  }
  const int64_t ideal_hits = n < args.k ? n : args.k;
  int64_t hits = 0;
  double gain = 0, ideal = 0, precisions = 0, reciprocal = 0;
  for (int64_t r = 1; r <= args.k; ++r) {
    const double discount = 1.0 / log2(static_cast<double>(r + 1));
    if (r <= ideal_hits) ideal += discount;
    const int32_t item = args.top_items(u, r - 1);
    if (item < 0 || !row_holds(args.truth, u, item)) continue;
    ++hits;
    gain += discount;
    precisions += static_cast<double>(hits) / static_cast<double>(r);
    if (hits == 1) reciprocal = 1.0 / static_cast<double>(r);
  }
  args.per_user(u, kRecall) = static_cast<float>(static_cast<double>(hits) / static_cast<double>(n));
  args.per_user(u, kPrecision) = static_cast<float>(static_cast<double>(hits) / static_cast<double>(args.k));
  args.per_user(u, kHitRate) = hits > 0 ? 1.0f : 0.0f;
  args.per_user(u, kMrr) = static_cast<float>(reciprocal);
  args.per_user(u, kNdcg) = static_cast<float>(gain / ideal);
  args.per_user(u, kMap) = static_cast<float>(precisions / static_cast<double>(ideal_hits));
}

}  // namespace sheaf::metrics
