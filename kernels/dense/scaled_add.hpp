#pragma once
/// Sums of score matrices, in place: blends, and what each query adds to all its scores.
///
///   out(r, c) = (keep * out(r, c) + weight * x(r, c)) + (row_bias[r] + bias[0])
///
/// keep = 0 does not read `out`. Each element by itself: the same bits on any number of threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct ScaledAddArgs {
  float keep = 1.0f;
  float weight = 1.0f;
  MatrixView<const float> x = {};         // [n, m] f32, or no rows for none
  VectorView<const float> row_bias = {};  // [n] f32, or empty for 0
  VectorView<const float> bias = {};      // [1] f32, or empty for 0
  MatrixView<float> out;                  // [n, m] f32, in place; may be x
};

void scaled_add(Context& context, const ScaledAddArgs& args);
OpCost scaled_add_cost(const ScaledAddArgs& args);

SHEAF_BACKENDS(scaled_add, ScaledAddArgs);

}  // namespace sheaf::dense
