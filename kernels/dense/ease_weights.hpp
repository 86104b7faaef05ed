#pragma once
/// The item-to-item weights of EASE from the inverse of its regularised Gram matrix, in place.
///
///   B[i, j] = -P[i, j] / P[j, j]   for i != j,   B[i, i] = 0           P = (G + lambda I)^-1, G = X^T X
///
/// Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8. The scores of a user
/// with history x are then x^T B.
///
/// One division an element, rounded once: every backend gives the same bits. A zero, NaN or infinity on the diagonal of
/// P goes through its column as the formula says; B[i, i] is 0 all the same. P need not be symmetric.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct EaseWeightsArgs {
  MatrixView<float> matrix;  // [n, n] f32, n >= 0: P, becomes B
};

void ease_weights(Context& context, const EaseWeightsArgs& args);
OpCost ease_weights_cost(const EaseWeightsArgs& args);

SHEAF_BACKENDS(ease_weights, EaseWeightsArgs);

}  // namespace sheaf::dense
