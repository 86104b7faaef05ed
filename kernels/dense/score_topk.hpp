#pragma once
/// Bulk scoring: the k best items of every query by a linear score, without storing the score matrix.
///
///   score(q, i) = queries[q, :] . items[i, :] + item_bias[i]        (a query's own bias does not change its order)
///   items[q, 0..k) = the k items with the largest score that are not in exclude row q, score descending, then id
///       ascending
///
/// If there are fewer than k candidates, ids -1 and scores -inf fill the rest. NaN scores come after all numbers. dim
/// may be 0.
/// Deterministic; the CPU result has the same bits on any number of threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

inline constexpr int64_t kMaxTopK = 256;

struct ScoreTopkArgs {
  MatrixView<const float> queries;    // [n_queries, dim] f32
  MatrixView<const float> items;      // [n_items, dim] f32
  VectorView<const float> item_bias;  // [n_items] f32, or empty for 0
  CsrView exclude;                    // [n_excludes, n_items] pattern, or n_rows == 0 for none; null values
  VectorView<const int32_t> exclude_rows =
      {};                         // [n_queries] i32 rows of exclude, or empty: row q itself, n_excludes == n_queries
  MatrixView<int32_t> top_items;  // [n_queries, k] i32, 1 <= k <= kMaxTopK
  MatrixView<float> top_scores;   // [n_queries, k] f32
};

void score_topk(Context& context, const ScoreTopkArgs& args);
OpCost score_topk_cost(const ScoreTopkArgs& args);

SHEAF_BACKENDS(score_topk, ScoreTopkArgs);

}  // namespace sheaf::dense
