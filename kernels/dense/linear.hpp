#pragma once
/// A dense layer over many rows, forward and backward.
///
///   out = act(x W^T + 1 b^T)
///   W as in most libraries [n_out, n_in]; act is max(0, .) when `relu`, else the identity
///
/// With D = d_out, or where `relu` D = d_out at elements with out > 0 and 0 elsewhere (the derivative at 0 is 0):
///   d_x = D W;   d_weight = D^T x;   d_bias = column sums of D           (overwritten)
///
/// Deterministic, the same bits on any number of CPU threads. NaN and infinity spread as the formulas say, with one
/// exception: a NaN before `relu` stays NaN in `out` and gives no gradient.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct LinearArgs {
  MatrixView<const float> x;       // [n, n_in] f32
  MatrixView<const float> weight;  // [n_out, n_in] f32
  VectorView<const float> bias;    // [n_out] f32
  bool relu = false;
  MatrixView<float> out;  // [n, n_out] f32, must not alias an input
};

struct LinearBackwardArgs {
  MatrixView<const float> x;       // [n, n_in] f32
  MatrixView<const float> weight;  // [n_out, n_in] f32
  bool relu = false;
  MatrixView<const float> out;  // [n, n_out] f32, of the forward pass; not read, and may be empty, unless `relu`
  MatrixView<float> d_out;      // [n, n_out] f32; becomes D
  MatrixView<float> d_x;        // [n, n_in] f32
  MatrixView<float> d_weight;   // [n_out, n_in] f32
  VectorView<float> d_bias;     // [n_out] f32
};

/// Rows whose terms of d_weight and d_bias are added in one go. The sums of such pieces are added in order.
inline constexpr int64_t kLinearPiece = 1024;

void linear(Context& context, const LinearArgs& args);
void linear_backward(Context& context, const LinearBackwardArgs& args);

OpCost linear_cost(const LinearArgs& args);
OpCost linear_backward_cost(const LinearBackwardArgs& args);

SHEAF_BACKENDS(linear, LinearArgs);
SHEAF_BACKENDS(linear_backward, LinearBackwardArgs);

}  // namespace sheaf::dense
