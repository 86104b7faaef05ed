#pragma once
/// Item-kNN scoring (Deshpande and Karypis, 2004): a user's score for an item is the sum of the item's similarities to
/// what the user bought. Sparse times sparse, the k best per user kept.
///
///   score(u, i) = sum over (j, w) in history row u of w * similarity(j, i)
///               / (row_length[u] * item_length[i] + shrink)              where lengths are given
///   the k items with the largest positive score that are not in exclude row u; score descending, then id ascending
///
/// Sources are the items themselves for item-kNN. With history = X^T, similarity = X and the lengths of the columns of
/// X, the op gives the strongest (damped) cosines between those columns.
/// Unused places hold id -1 and score 0. Sums run in history order: deterministic.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::sparse {

struct SpgemmTopkArgs {
  CsrView history;                          // [n_users, n_sources]; null values mean weight 1
  CsrView similarity;                       // [n_sources, n_items], values required; columns unique in a row, any order
  CsrView exclude;                          // [n_users, n_items] pattern, or n_rows == 0 for none
  VectorView<const float> row_length = {};  // [n_users] f32 > 0, or empty
  VectorView<const float> item_length = {};  // [n_items] f32 > 0, or empty; both or neither
  float shrink = 0.0f;                       // >= 0
  MatrixView<int32_t> top_items;             // [n_users, k] i32, 1 <= k <= 256
  MatrixView<float> top_scores;              // [n_users, k] f32
};

void spgemm_topk(Context& context, const SpgemmTopkArgs& args);
OpCost spgemm_topk_cost(const SpgemmTopkArgs& args);

SHEAF_BACKENDS(spgemm_topk, SpgemmTopkArgs);

}  // namespace sheaf::sparse
