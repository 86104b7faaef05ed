#pragma once
/// Metrics of probabilities against 0/1 labels.
///
///   accuracy = share with [p >= 0.5] == y
///   log-loss = -mean(y log p + (1 - y) log(1 - p)), p clamped to [1e-7, 1 - 1e-7]
///   AUC = P(score of a positive > score of a negative) + P(equal) / 2, by ranks with ties (Mann and Whitney, 1947)
///   Brier = mean (p - y)^2
///
/// AUC is NaN when a class is missing. Without examples every metric is NaN. NaN probabilities are a bug of the caller:
/// the result is NaN.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::metrics {

enum BinaryColumn : int { kAccuracy, kLogLoss, kAuc, kBrier, kBinaryColumns };

struct BinaryArgs {
  VectorView<const float> probabilities;  // [n] f32 in [0, 1]
  VectorView<const uint8_t> labels;       // [n] 0 or 1
  VectorView<double> out;                 // [kBinaryColumns] f64
};

void binary(Context& context, const BinaryArgs& args);
OpCost binary_cost(const BinaryArgs& args);

SHEAF_BACKENDS(binary, BinaryArgs);

}  // namespace sheaf::metrics
