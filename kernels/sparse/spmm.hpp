#pragma once
/// One propagation step over a graph, sparse times dense, as in LightGCN (He et al., 2020): no weights, no
/// nonlinearity.
///
///   out[r, :]  = row_scale[r] * sum over e in row r of values[e] * column_scale[columns[e]] * in[columns[e], :]
///   mean[r, :] = mean[r, :] + (out[r, :] - mean[r, :]) / (n_in_mean + 1)
///
/// With scales 1 / sqrt(degree) it is the symmetric normalisation D^-1/2 A D^-1/2. `mean` holds the mean over the
/// layers so far. Empty rows give zeros. The order in which a row is summed depends only on its length: the same bits
/// on every run and any number of threads. NaN and infinity of a row of `in` spread to the rows of `out` that read it.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::sparse {

struct SpmmArgs {
  CsrView graph;                              // [n_rows, n_columns]; null values mean weight 1
  VectorView<const float> row_scale = {};     // [n_rows] f32, or empty for 1
  VectorView<const float> column_scale = {};  // [n_columns] f32, or empty for 1
  MatrixView<const float> in;                 // [n_columns, dim] f32
  MatrixView<float> out;                      // [n_rows, dim] f32, must not alias an input
  MatrixView<float> mean = {};                // [n_rows, dim] f32, updated in place; or no rows for none
  int64_t n_in_mean = 1;                      // layers that `mean` holds already, >= 0
};

void spmm(Context& context, const SpmmArgs& args);
OpCost spmm_cost(const SpmmArgs& args);

SHEAF_BACKENDS(spmm, SpmmArgs);

}  // namespace sheaf::sparse
