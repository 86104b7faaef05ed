#pragma once
/// Sparse times sparse, chosen rows of the product as dense rows.
///
///   out[r, i] = column_bias[i] + sum over e in row ids[r] of left of left.values[e] * right(left.columns[e], i)
///
/// With left = X^T and right = X the rows are those of the Gram matrix X^T X. An empty row of left gives the bias.
/// Each sum starts at the bias and follows the entries of the left row; a product is added by one fused multiply-add,
/// that is with a single rounding. So the result is the same on every run, on any number of threads and on every
/// backend, bit for bit but for the bits of a NaN. What is not stored is no term: NaN and infinity reach the columns
/// whose sums hold them.
/// An id out of range is recorded in `fault`, and its row is the bias. Not checked: columns in range. An id may come
/// more than once. UsageError for shapes that do not fit.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::sparse {

struct SpgemmArgs {
  // In both: null values mean weight 1; columns unique in a row, any order.
  CsrView left;                   // [n_rows, n_inner]
  CsrView right = {};             // [n_inner, n_columns]; or n_rows == 0 for the identity, then n_inner == n_columns
  VectorView<const int32_t> ids;  // [n] i32 rows of left, n < 2^31
  VectorView<const float> column_bias = {};  // [n_columns] f32, or empty for 0
  MatrixView<float> out;                     // [n, n_columns] f32, must not alias an input
  /// [1] on the device, or null: the lowest place of an id out of range, kNoSpgemmFault before. The op lowers it.
  uint64_t* fault = nullptr;
};

void spgemm(Context& context, const SpgemmArgs& args);

constexpr uint64_t kNoSpgemmFault = ~uint64_t{0};
void clear_spgemm_fault(Context& context, uint64_t* fault);
/// Waits for the device. DataError with the place and the value if an id of the call was out of range; the word is
/// cleared, and the context can be used further.
void raise_spgemm_fault(Context& context, const SpgemmArgs& args);
/// The rows of both sides count as if all were of their mean length: the true number of products depends on the data.
OpCost spgemm_cost(const SpgemmArgs& args);

SHEAF_BACKENDS(spgemm, SpgemmArgs);

}  // namespace sheaf::sparse
