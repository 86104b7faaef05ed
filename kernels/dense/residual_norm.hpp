#pragma once
/// Residual connection, dropout and layer norm in one pass over the rows (He et al., 2016; Srivastava et al., 2014; Ba
/// et al., 2016), forward and backward. It is the step between two parts of a pre-norm transformer block.
///
///   sum[r, c]    = residual[r, c] + keep(r, c) * x[r, c]
///                  keep is 1 / (1 - rate) or 0, drawn as in kernels/dense/dropout.hpp
///   mean[r]      = mean of sum[r, :],   scale[r] = 1 / sqrt(mean of (sum[r, :] - mean[r])^2 + epsilon)
///   normed[r, c] = (sum[r, c] - mean[r]) * scale[r] * weight[c] + bias[c]
///
/// Gradients, with h = (sum - mean) * scale and g = d_normed * weight:
///   d_sum = d_residual + scale * (g - mean of g - h * mean of g h);   d_x = keep * d_sum
///   d_weight = column sums of d_normed * h;   d_bias = column sums of d_normed                (overwritten)
///
/// d_sum is the gradient of the residual, too. Deterministic, the same bits on any number of CPU threads. A row of
/// equal values is normed to `bias`. NaN and infinity stay in their row, except in d_weight and d_bias.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

inline constexpr float kNormEpsilon = 1e-5f;

struct ResidualNormArgs {
  MatrixView<const float> x;         // [n, dim] f32, dim > 0
  MatrixView<const float> residual;  // [n, dim] f32, or empty for zeros
  VectorView<const float> weight;    // [dim] f32
  VectorView<const float> bias;      // [dim] f32
  float rate = 0.0f;                 // of the dropout of x, in [0, 1)
  RandomKey key;
  int64_t first_row = 0;      // row number of x's first row, for the dropout
  MatrixView<float> sum;      // [n, dim] f32; may be x or residual
  MatrixView<float> normed;   // [n, dim] f32, aliases nothing
  MatrixView<float> moments;  // [n, 2] f32: mean and scale, for the backward pass
};

struct ResidualNormBackwardArgs {
  MatrixView<const float> sum;         // [n, dim] f32
  MatrixView<const float> moments;     // [n, 2] f32
  VectorView<const float> weight;      // [dim] f32
  MatrixView<const float> d_normed;    // [n, dim] f32
  MatrixView<const float> d_residual;  // [n, dim] f32: the gradient that reaches `sum` by another path, or empty
  float rate = 0.0f;
  RandomKey key;
  int64_t first_row = 0;
  MatrixView<float> d_sum;     // [n, dim] f32; may be d_residual or d_normed
  MatrixView<float> d_x;       // [n, dim] f32; may be d_sum when that is not needed, aliases nothing else
  VectorView<float> d_weight;  // [dim] f32
  VectorView<float> d_bias;    // [dim] f32
};

/// Rows whose terms of d_weight and d_bias are added in one go; the sums of such pieces are added in their order.
inline constexpr int64_t kResidualNormPiece = 256;

void residual_norm(Context& context, const ResidualNormArgs& args);
void residual_norm_backward(Context& context, const ResidualNormBackwardArgs& args);

OpCost residual_norm_cost(const ResidualNormArgs& args);
OpCost residual_norm_backward_cost(const ResidualNormBackwardArgs& args);

SHEAF_BACKENDS(residual_norm, ResidualNormArgs);
SHEAF_BACKENDS(residual_norm_backward, ResidualNormBackwardArgs);

}  // namespace sheaf::dense
