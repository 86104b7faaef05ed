#pragma once
/// Products of sparse matrices and half a sweep of alternating least squares by definition, in double precision.

#include <cstdint>
#include <vector>

#include "tests/common/op_test.hpp"
#include "tests/reference/sums.hpp"

namespace sheaf::ref {

/// out [n_ids, n_columns] of sparse::spgemm: rows `ids` of left * right, plus the bias (empty: none). Null right: the
/// identity.
Sums spgemm(const test::HostCsr& left, const test::HostCsr* right, const std::vector<int32_t>& ids,
            const std::vector<float>& column_bias);

/// Vectors [n_rows, dim] and how far float arithmetic may be from them, element by element.
struct BoundedRows {
  std::vector<double> value, bound;
};

/// out of sparse::als_solve for items [n_columns, dim]: each row's equations as they stand, by Gaussian elimination.
/// The bound is the one that the op states; twice that covers the terms of second order.
BoundedRows als_solve(const test::HostCsr& rows, const std::vector<float>& targets, const std::vector<float>& items,
                      int64_t dim, double l2, double alpha);

}  // namespace sheaf::ref
