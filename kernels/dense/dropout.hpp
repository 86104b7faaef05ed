#pragma once
/// Inverted dropout, in place (Srivastava et al., 2014). Applied to a gradient with the same key, it is its own
/// backward.
///
///   x[r, c] = keep(r, c) ? x[r, c] / (1 - rate) : 0,
///   keep(r, c) = uniform01(random_u32(key, first_row + r, c)) >= rate

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct DropoutArgs {
  float rate = 0.0f;  // in [0, 1); 0 leaves x as it is
  RandomKey key;
  int64_t first_row = 0;  // row number of x's first row, so that a split batch draws the same mask
  MatrixView<float> x;    // [rows, cols] f32, in place
};

void dropout(Context& context, const DropoutArgs& args);
OpCost dropout_cost(const DropoutArgs& args);

SHEAF_BACKENDS(dropout, DropoutArgs);

}  // namespace sheaf::dense
