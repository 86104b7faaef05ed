#pragma once
/// Item-kNN scoring (Deshpande and Karypis, 2004): a user's score for an item is the sum of that item's similarities to what
/// the user took. Sparse times sparse, the k best per user kept.
///
///   score(u, i) = sum over (j, w) in history row u of w * similarity(j, i)
///   the k items with the largest positive score that are not in exclude row u; score descending, then id ascending
///
/// Unused places hold id -1 and score 0. Sums run in history order: deterministic.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::association {

struct NeighbourTopkArgs {
  CsrView history;                // [n_users, n_items]; null values mean weight 1
  CsrView similarity;             // [n_items, n_items], values required; columns unique in a row, any order
  CsrView exclude;                // [n_users, n_items] pattern, or n_rows == 0 for none
  MatrixView<int32_t> top_items;  // [n_users, k] i32, 1 <= k <= 256
  MatrixView<float> top_scores;   // [n_users, k] f32
};

void neighbour_topk(Context& context, const NeighbourTopkArgs& args);
OpCost neighbour_topk_cost(const NeighbourTopkArgs& args);

SHEAF_BACKENDS(neighbour_topk, NeighbourTopkArgs);

}  // namespace sheaf::association
