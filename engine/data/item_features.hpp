#pragma once
/// What is known of the items beside their purchases, as one sparse matrix.

#include "engine/data/catalog.hpp"

namespace sheaf {

/// [n_items, n_columns]: a 1 for each categorical value of an item (n_values columns a field, in the order of
/// catalog.fields), then its numbers, then its vector. Zeros are left out. A pattern where there are categories alone.
HostCsr feature_matrix(const Catalog& catalog);

}  // namespace sheaf
