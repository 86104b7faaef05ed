#pragma once
/// table_bag and its gradient by definition, in double precision, on host arrays.

#include <cstdint>
#include <vector>

#include "kernels/embedding/table.hpp"
#include "tests/reference/sums.hpp"

namespace sheaf::ref {

/// Bags with their tables; `first_row` has n_tables + 1 elements, `offsets` n_bags + 1.
struct HostBags {
  std::vector<int64_t> first_row, offsets;
  std::vector<int32_t> ids;
  std::vector<float> weights;  // empty for 1
  int64_t n_bags() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

/// values [n_rows, dim]. An id out of range is left out. For max, n_terms and magnitude are those of one element.
Sums table_bag(const std::vector<double>& values, int64_t dim, const HostBags& bags, embedding::Pooling pooling);

/// [n_rows, dim]: the gradient of sum(grad * table_bag(values)) by the values.
Sums table_gradient(const std::vector<double>& values, const std::vector<double>& grad, int64_t dim,
                    const HostBags& bags, embedding::Pooling pooling);

}  // namespace sheaf::ref
