#pragma once
/// Inner products of the columns of a matrix.
///
///   out = x^T x
///
/// A product of two floats is exact in double, and the sums are in double: an element of the result differs from the
/// exact one by at most n 2^-53 sum over r |x[r, i] x[r, j]|. Rows are added in fixed pieces, and the sums of pieces in
/// order: the same bits on any number of CPU threads. Both halves are written, bit for bit symmetric. Without rows
/// `out` is zero. NaN and infinity spread to the rows and columns of `out` that read them.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct GramArgs {
  MatrixView<const float> x;  // [n, dim] f32
  MatrixView<double> out;     // [dim, dim] f64, must not alias x
};

/// Rows that one sum takes in: the rows are cut into at most `kGramPieces` pieces of at least `kGramRows`.
inline constexpr int64_t kGramPieces = 32, kGramRows = 256;
inline int64_t gram_piece(int64_t n) {
  const int64_t even = (n + kGramPieces - 1) / kGramPieces;
  return even > kGramRows ? even : kGramRows;
}

/// UsageError if the shapes do not fit.
void gram(Context& context, const GramArgs& args);
OpCost gram_cost(const GramArgs& args);

SHEAF_BACKENDS(gram, GramArgs);

}  // namespace sheaf::dense
