#pragma once
/// Embedding bags and their gradients by definition, in double precision.

#include <cstdint>
#include <vector>

#include "tests/common/op_test.hpp"

namespace sheaf::ref {

/// A matrix [rows, dim] of sums; beside each sum the sum of its terms' absolute values and the number of its terms.
struct Sums {
  std::vector<double> value;
  std::vector<double> magnitude;
  std::vector<int64_t> n_terms;
  explicit Sums(int64_t size) : value(static_cast<size_t>(size)), magnitude(value.size()), n_terms(value.size()) {}
  void add(int64_t at, double term);
  /// Rounding bound of a float sum of these terms, each a product of two floats.
  double bound(size_t at) const;
};

/// table [n_rows, dim], out [n_ids, dim].
Sums bag(const std::vector<double>& table, int64_t dim, const test::HostCsr& bags, const std::vector<int32_t>& ids);

/// grad [n_ids, dim], out [n_rows, dim]: the gradient of sum(grad * bag(table)) by the table.
Sums bag_backward(const std::vector<double>& grad, int64_t dim, const test::HostCsr& bags,
                  const std::vector<int32_t>& ids);

}  // namespace sheaf::ref
