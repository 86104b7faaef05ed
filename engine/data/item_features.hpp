#pragma once
/// What is known of the items beside their purchases, as one sparse matrix.

#include "engine/data/catalog.hpp"

namespace sheaf {

/// [n_items, n_columns]: a 1 for each categorical value of an item (n_values columns a field, in the order of
/// catalog.fields), then its numbers, then its vector. Zeros are left out. A pattern where there are categories alone.
HostCsr feature_matrix(const Catalog& catalog);

/// The attributes of each item one after another: each field, then each number. [n_items * length, n_columns], where
/// the row of an attribute has a 1 in the column of its value, or its number in that number's column; a missing number
/// has no entry. Columns are those of feature_matrix() without the vectors, and it is a pattern where that is one.
HostCsr attribute_sequences(const Catalog& catalog);

}  // namespace sheaf
