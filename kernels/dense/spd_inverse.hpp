#pragma once
/// The inverse of a symmetric positive definite matrix, in place, by blocked Gauss-Jordan elimination on one half.
///
///   matrix = matrix^-1
///
/// Blocks of pivots are swept one after another (Goodnight, "A Tutorial on the SWEEP Operator", 1979). With K the
/// indices that are done, R the rest and A the matrix that came, what stands in place is T with
///
///   T_KK = -A_KK^-1,   T_KR = A_KK^-1 A_KR,   T_RR = A_RR - A_RK A_KK^-1 A_KR
///
/// A block k with T_kk = L L^T (Cholesky) and C = L^-1 is swept by
///
///   V = T_:k C^T;   T_ij -= V_i V_j^T for i, j outside k;   T_:k = V C;   T_kk = -C^T C
///
/// and in the end T = -A^-1. C, V and V C are computed in double; V and T are kept in float, and so are the sums over
/// V V^T. An element of the result differs from the inverse by at most, to first order,
///
///   2 n u (|A^-1| |R^T| |R| + 3 |R^-1| |R|) |A^-1|          with A = R^T R (Cholesky) and u = 2^-24
///
/// (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., theorem 14.5, for unit vectors on the right):
/// the relative error grows with the condition number of the matrix.
///
/// The lower half and the diagonal are read, the upper half is not; both halves are written, bit for bit symmetric. NaN
/// or infinity in the lower half make a pivot fail. An inverse beyond float's range is no failure: it holds infinity or
/// NaN. Deterministic, the same bits on any number of CPU threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::dense {

struct SpdInverseArgs {
  MatrixView<float> matrix;  // [n, n] f32, n >= 0; becomes its inverse
  /// [1] i32: 0, or 1 + the first pivot that is no positive finite number; `matrix` is then unspecified
  VectorView<int32_t> failed;
};

void spd_inverse(Context& context, const SpdInverseArgs& args);
OpCost spd_inverse_cost(const SpdInverseArgs& args);

SHEAF_BACKENDS(spd_inverse, SpdInverseArgs);

}  // namespace sheaf::dense
