#pragma once
/// Embedding bags and their gradients by definition, in double precision.

#include <cstdint>
#include <vector>

#include "tests/common/op_test.hpp"
#include "tests/reference/sums.hpp"

namespace sheaf::ref {

/// table [n_rows, dim], out [n_ids, dim].
Sums bag(const std::vector<double>& table, int64_t dim, const test::HostCsr& bags, const std::vector<int32_t>& ids);

/// grad [n_ids, dim], out [n_rows, dim]: the gradient of sum(grad * bag(table)) by the table.
Sums bag_backward(const std::vector<double>& grad, int64_t dim, const test::HostCsr& bags,
                  const std::vector<int32_t>& ids);

}  // namespace sheaf::ref
