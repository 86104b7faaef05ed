#pragma once
/// Half a sweep of alternating least squares for implicit feedback (Hu, Koren, Volinsky, "Collaborative filtering for
/// implicit feedback datasets", 2008): the best vector x of each row of weights, with the other side's vectors Y fixed.
///
///   (Y^T Y + l2 I + sum over e of d_e y_e y_e^T) x = sum over e of (1 + d_e) p_e y_e
///
/// where e runs over the row's entries, y_e is row columns[e] of Y and d_e = alpha * values[e] > 0: the minimum of
/// sum over all i of c_i (p_i - x y_i)^2 + l2 |x|^2 with c = 1 + d at entries, and c = 1 and p = 0 elsewhere. In the
/// paper p = 1 at entries; other targets make it a weighted regression.
///
/// How it is solved. With Y^T Y + l2 I = L L^T (Cholesky, in double) and v_e = sqrt(d_e) L^-1 y_e, the rows of V, and
/// h_e = p_e (1 + d_e) / sqrt(d_e):
///
///   n_e >= dim:  (I + V^T V) z = V^T h        n_e < dim:  z = V^T (I + V V^T)^-1 h        then x = L^-T z
///
/// A row costs the smaller of the two systems. All eigenvalues are within 1 and 1 + max d, because the entries are
/// among the rows of Y: floats do, however large the condition number of Y^T Y is. V and the systems are float;
/// L^-1 y and L^-T z are computed in double. To first order and element by element
///
///   |error| <= |L^-T| e_z + u |x|   with u = 2^-24, R the Cholesky factor of the system S, m its size, and
///   n_e >= dim:  e_z = |S^-1| u ((n_e + 12) (I + |V|^T |V|) |z| + (3 m + 1) |R|^T |R| |z| + (n_e + 9) |V|^T |h|)
///   n_e < dim:   e_z = |V|^T |S^-1| u ((dim + 12) (I + |V| |V|^T) |q| + (3 m + 1) |R|^T |R| |q| + 6 |h|)
///                      + (n_e + 6) u |V|^T |q|      with q = S^-1 h
///
/// (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., theorem 10.4), as long as Y^T Y + l2 I has a
/// condition number well below 2^29. `gram` is that of all rows of Y; with that of others the bounds on the
/// eigenvalues, but not the equations, are lost.
///
/// A row without entries gets zeros. NaN and infinity of a row of Y spread to the rows that name it, and to all where
/// `gram` has them, too. Deterministic, the same bits on any number of CPU threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::sparse {

/// The widest vectors.
inline constexpr int64_t kAlsMostDim = 256;

struct AlsSolveArgs {
  CsrView rows;                          // [n_rows, n_columns] weights > 0; null values mean weight 1
  VectorView<const float> targets = {};  // [nnz] p of each entry, or empty for 1
  MatrixView<const float> items;         // [n_columns, dim] f32 Y, 1 <= dim <= 256
  MatrixView<const double> gram;         // [dim, dim] f64 Y^T Y, both halves (dense/gram)
  double l2 = 0.0;                       // >= 0
  float alpha = 1.0f;                    // > 0
  MatrixView<float> out;                 // [n_rows, dim] f32 x, must not alias an input
  /// [1] i32: 0, or 1 + the first pivot of Y^T Y + l2 I that is no positive finite number; `out` is then unspecified
  VectorView<int32_t> failed;
};

/// UsageError for shapes that do not fit, and for l2 and alpha out of range.
void als_solve(Context& context, const AlsSolveArgs& args);
/// Of the arithmetic, that of rows of average length.
OpCost als_solve_cost(const AlsSolveArgs& args);

SHEAF_BACKENDS(als_solve, AlsSolveArgs);

}  // namespace sheaf::sparse
