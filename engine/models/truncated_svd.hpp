#pragma once
/// The largest singular values and vectors of a sparse matrix, by randomized subspace iteration (Halko, Martinsson,
/// Tropp, "Finding structure with randomness", 2011, algorithms 4.4 and 5.1).
///
/// The right singular subspace begins as the span of normal vectors, more than are wanted, and is multiplied by A and
/// A^T in turn. After each product an orthonormal basis takes its place, by two rounds of Cholesky QR (Yamamoto et al.,
/// "Roundoff error analysis of the CholeskyQR2 algorithm", 2015) with the Gram matrix in double. Within the subspace
/// the singular vectors come from the eigenvectors of (A V)^T (A V), by Jacobi's rotations in double. Column k of the
/// result errs by about (sigma_l / sigma_k)^(2 iterations + 1), where sigma_l is the first singular value beyond the
/// subspace.

#include <cstdint>
#include <vector>

#include "engine/data/csr.hpp"

namespace sheaf {

struct TruncatedSvd {
  int64_t n_columns = 0, dim = 0;
  std::vector<double> singular;  // [dim] descending, > 0
  std::vector<float> right;      // [n_columns, dim] right singular vectors
};

/// Of A = matrix - 1 column_mean^T, where an empty column_mean means zeros; A is never made dense. At most `dim`
/// singular values: fewer where the matrix has fewer above 1e-5 of the largest, which is as far as floats see.
/// The same seed gives the same bits. Throws Interrupted between products.
TruncatedSvd truncated_svd(Context& context, const HostCsr& matrix, const std::vector<float>& column_mean, int64_t dim,
                           int64_t iterations, uint64_t seed);

/// Eigenvalues, descending, and eigenvectors of a symmetric matrix [n, n], by Jacobi's rotations in cyclic order (Golub
/// and Van Loan, "Matrix Computations", 4th ed., section 8.5).
struct Eigen {
  std::vector<double> values;   // [n]
  std::vector<double> vectors;  // [n, n], row k is the eigenvector of values[k]
};
Eigen symmetric_eigen(int64_t n, std::vector<double> matrix);

}  // namespace sheaf
