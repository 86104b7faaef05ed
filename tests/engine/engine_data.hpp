#pragma once
/// Small data for the tests of the engine.

#include <cstdint>
#include <vector>

#include "engine/data/catalog.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf::test {

/// The engine's matrix from the ops' one.
sheaf::HostCsr engine_csr(const HostCsr& matrix);
/// Rows as lists of columns, which ascend.
sheaf::HostCsr pattern(const std::vector<std::vector<int32_t>>& rows, int64_t n_columns);
/// values[row][column]; zeros are left out.
sheaf::HostCsr sparse(const std::vector<std::vector<float>>& values);

/// n items at price 1 in one category, without features.
Catalog plain_catalog(int64_t n_items);

/// Two tastes: users with an even number buy among the even items, the others among the odd ones; all buy early items
/// more often. Field 0 of the catalog is the taste of an item, its category is item % 4, prices are 1, 2, 3, ...
struct Planted {
  static constexpr int64_t n_users = 80, n_items = 40;
  Catalog catalog;
  sheaf::HostCsr train;       // weights 1 .. 5
  sheaf::HostCsr validation;  // two items a user, none of them in train
};
Planted planted(uint32_t seed);

}  // namespace sheaf::test
