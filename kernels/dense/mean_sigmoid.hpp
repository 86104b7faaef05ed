#pragma once
/// How much the rows as a whole want each item, from scores that are there already: calibrated probabilities added up.
///
///   sums[i] += weight * sum over r of sigmoid(slope * scores[r, i] + offset)
///
/// With weight 1 / n_users in every call and sums that start at zero, the rows of all users give the means that
/// mean_probability gives for scores of vectors. A probability is a float; sums run in double and in a fixed order of
/// the rows: deterministic, the same bits on any number of threads. Backends differ by rounding, and so does another
/// cut of the rows into calls. NaN spreads to the sum of its item. No rows add nothing. UsageError for sums of another
/// size.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct MeanSigmoidArgs {
  MatrixView<const float> scores;  // [n, n_items] f32
  float slope = 1.0f;
  float offset = 0.0f;
  double weight = 1.0;
  VectorView<double> sums;  // [n_items] f64, added to
};

void mean_sigmoid(Context& context, const MeanSigmoidArgs& args);
OpCost mean_sigmoid_cost(const MeanSigmoidArgs& args);

SHEAF_BACKENDS(mean_sigmoid, MeanSigmoidArgs);

}  // namespace sheaf::dense
