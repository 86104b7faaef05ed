#pragma once
/// Bulk scoring: the k best items of every query by a linear score, without storing the score matrix.
///
///   score(q, i) = queries[q, :] . items[i, :] + item_bias[i]        (a query's own bias does not change its order)
///   items[q, 0..k) = the k items with the largest score that are not in exclude row q, score descending, then id
///       ascending
///
/// If there are fewer than k candidates, ids -1 and scores -inf fill the rest. NaN scores come after all numbers. dim
/// may be 0.
/// Exact: the lists are those of the float scores, summed over the dimensions in ascending order. The CPU backend first
/// filters by products of bytes or 16 bits where that pays, and computes every score in float that the bound of the
/// rounding cannot rule out (kernels/dense/score_bound.hpp).
/// Deterministic; the CPU result has the same bits on any number of threads and with any instruction set that has fused
/// multiply-adds.

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

  /// At most this for packed items (one block of them at least), in pieces where needed.
  int64_t cpu_workspace_bytes = int64_t{64} << 20;
};

void score_topk(Context& context, const ScoreTopkArgs& args);
OpCost score_topk_cost(const ScoreTopkArgs& args);

SHEAF_BACKENDS(score_topk, ScoreTopkArgs);

}  // namespace sheaf::dense
