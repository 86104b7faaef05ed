#pragma once
/// The k best items of every row of a score matrix that is there already, the excluded ones left out.
///
///   top_items[r, 0..k) = the k items with the largest scores[r, i] that are not in exclude row exclude_rows[r],
///                        score descending, then id ascending;   top_scores[r, p] = scores[r, top_items[r, p]]
///
/// Order and filling are those of score_topk: fewer than k candidates leave ids -1 and scores -inf, NaN scores come
/// last, before nothing. Scores are copied: the same bits on every run, any number of threads and every backend.
/// Not checked: exclude_rows in range; a row of exclude may serve any number of rows. UsageError for shapes that do not
/// fit and k out of range.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"
#include "kernels/dense/score_topk.hpp"

namespace sheaf::dense {

struct RowTopkArgs {
  MatrixView<const float> scores;               // [n, n_items] f32, n and n_items < 2^31
  CsrView exclude = {};                         // [n_excludes, n_items] pattern, or n_rows == 0 for none
  VectorView<const int32_t> exclude_rows = {};  // [n] i32 rows of exclude, or empty: row r itself, n_excludes == n
  MatrixView<int32_t> top_items;                // [n, k] i32, 1 <= k <= kMaxTopK
  MatrixView<float> top_scores;                 // [n, k] f32
};

void row_topk(Context& context, const RowTopkArgs& args);
OpCost row_topk_cost(const RowTopkArgs& args);

SHEAF_BACKENDS(row_topk, RowTopkArgs);

}  // namespace sheaf::dense
