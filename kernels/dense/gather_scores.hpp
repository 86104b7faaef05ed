#pragma once
/// Some scores of each row: out(r, g) = scores(r, items(r, g)), and -infinity where items(r, g) is no column.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct GatherScoresArgs {
  MatrixView<const float> scores;   // [n, n_items] f32
  MatrixView<const int32_t> items;  // [n, group] i32
  MatrixView<float> out;            // [n, group] f32, must not alias an input
};

void gather_scores(Context& context, const GatherScoresArgs& args);
OpCost gather_scores_cost(const GatherScoresArgs& args);

SHEAF_BACKENDS(gather_scores, GatherScoresArgs);

}  // namespace sheaf::dense
