#pragma once
/// Products of sparse matrices by definition, in double precision.

#include <cstdint>
#include <vector>

#include "tests/common/op_test.hpp"
#include "tests/reference/sums.hpp"

namespace sheaf::ref {

/// out [n_ids, n_columns] of sparse::spgemm: rows `ids` of left * right, plus the bias (empty: none). Null right: the
/// identity.
Sums spgemm(const test::HostCsr& left, const test::HostCsr* right, const std::vector<int32_t>& ids,
            const std::vector<float>& column_bias);

}  // namespace sheaf::ref
