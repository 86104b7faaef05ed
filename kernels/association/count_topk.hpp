#pragma once
/// The k strongest partners of every item by a measure of counted co-occurrence (measure.hpp).
///
///   row i: the k items j of counts row i with the largest measure(i, j) >= min_score, score descending, then id
///       ascending
///
/// Unused places hold id -1 and score 0. Deterministic.

#include "kernels/association/measure.hpp"
#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::association {

struct CountTopkArgs {
  VectorView<const int64_t> row_offsets;  // [n_items + 1] as from cooccurrence_sizes
  VectorView<const int32_t> companions;   // [row_offsets[n_items]] i32 item ids
  VectorView<const int32_t> counts;       // [row_offsets[n_items]] i32 baskets with both
  VectorView<const int32_t> item_counts;  // [n_items] i32 baskets with the item
  int64_t n_baskets = 0;
  Measure measure = Measure::lift;
  float min_score = 0.0f;
  MatrixView<int32_t> neighbours;  // [n_items, k] i32, 1 <= k <= 256
  MatrixView<float> scores;        // [n_items, k] f32
};

void count_topk(Context& context, const CountTopkArgs& args);
OpCost count_topk_cost(const CountTopkArgs& args);

SHEAF_BACKENDS(count_topk, CountTopkArgs);

}  // namespace sheaf::association
