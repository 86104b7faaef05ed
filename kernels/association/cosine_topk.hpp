#pragma once
/// Cosine association of all pairs with a threshold, the k strongest per item; the n_items x n_items matrix is never
/// stored.
///
///   A(i, j) = max(0, cos(e_i, e_j)) * scale,   cos(a, b) = a . b / (|a| |b|)
///   scale = 1 / sqrt(d_i * d_j) for the scaled form (= 1 / dim for one table), 1 for the plain cosine
///   row i: the k allowed pairs j != i with the largest A(i, j) >= max(min_score, smallest positive), score descending,
///       then id ascending
///
/// With `queries`, the rows are vectors other than the items. `first_query` then says which item a query is, if any.
/// A row of zero length (or with a value that is not finite) has no neighbours and is nobody's neighbour. Pairs with
/// A == 0 are never listed. Unused places hold id -1 and score 0.
///
/// Exact: the lists are those of float products of the normalised vectors. Where a backend first filters by 16-bit
/// products, it computes every pair again in float that the rounding bound cannot rule out
/// (kernels/association/README.md). Deterministic: the CPU result has the same bits on any number of threads and with
/// any instruction set that has fused multiply-adds.
///
/// If the items do not fit the device, give them piece by piece with first_item and merge = true. The lists after the
/// last piece are those of one call.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::association {

/// Which categories may be paired. A negative category is unknown: such an item is paired only under the rule `any`.
enum class CategoryRule : int32_t { any, same, different, table };

struct CosineTopkArgs {
  MatrixView<const float> vectors;  // [n_items, dim] f32
  float scale = 1.0f;               // 2^-64 .. 2^64
  float min_score = 0.0f;           // of the scaled score
  MatrixView<int32_t> neighbours;   // [n_queries, k] i32, 1 <= k <= 256
  MatrixView<float> scores;         // [n_queries, k] f32

  MatrixView<const float> queries = {};  // [n_queries, dim] f32; without them the items are the queries

  CategoryRule rule = CategoryRule::any;
  VectorView<const int32_t> item_categories = {};   // [n_items] i32, if there is a rule
  VectorView<const int32_t> query_categories = {};  // [n_queries] i32, if there are a rule and queries
  /// [n_categories, n_categories]: query's category, item's; a value other than 0 allows the pair. For `table`.
  MatrixView<const uint8_t> category_pairs = {};
  CsrView exclude = {};  // [n_queries, ids] pattern of items not listed; n_rows 0: none

  int64_t first_item = 0;    // id of the first item: ids are below 2^31
  int64_t first_query = -1;  // id of the first query; -1: with `queries` they are no items, else the items' own
  bool merge = false;        // continue from the lists in neighbours and scores

  /// At most this for packed vectors and candidates, except for a few blocks.
  int64_t cpu_workspace_bytes = int64_t{176} << 20;
  /// [1] i64, or empty: pairs computed again in float; depends on blocks and threads.
  VectorView<int64_t> n_rescored = {};
};

void cosine_topk(Context& context, const CosineTopkArgs& args);
OpCost cosine_topk_cost(const CosineTopkArgs& args);

SHEAF_BACKENDS(cosine_topk, CosineTopkArgs);

}  // namespace sheaf::association
