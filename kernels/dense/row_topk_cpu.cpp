#include <algorithm>
#include <limits>

#include "kernels/core/parallel.hpp"
#include "kernels/dense/row_topk.hpp"
#include "kernels/dense/top_k_row.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kTile = 64;  // scores that are compared with the k-th best at once

// Whether a full list turns down each of the scores; where it says no, some may still be turned down.
bool all_below(const float* scores, int64_t n, float least) {
  int n_others = 0;
#pragma omp simd reduction(+ : n_others)
  for (int64_t x = 0; x < n; ++x) n_others += scores[x] < least ? 0 : 1;
  return n_others == 0;
}

}  // namespace

void row_topk(Context& context, const RowTopkArgs& args) {
  constexpr int64_t kGrain = 4;
  const int64_t n_items = args.scores.cols;
  const auto k = static_cast<int32_t>(args.top_items.cols);
  parallel_for(context, args.scores.rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* scores = args.scores.row(r);
      TopKList list{args.top_scores.row(r), args.top_items.row(r), k, 0};
      ExcludeWalk exclude(args.exclude, args.exclude_rows.empty() ? r : args.exclude_rows[r]);
      for (int64_t first = 0; first < n_items; first += kTile) {
        const int64_t last = std::min(first + kTile, n_items);
        if (list.size == k && all_below(scores + first, last - first, list.scores[k - 1])) continue;
        offer_items(
            first, last, [&](int64_t i) { return scores[i]; }, exclude, list);
      }
      list.fill_rest(-std::numeric_limits<float>::infinity(), -1);
    }
  });
}

}  // namespace sheaf::dense::cpu
