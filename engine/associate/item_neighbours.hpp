#pragma once
/// Which items the same users buy: item-kNN (Deshpande and Karypis, "Item-based top-N recommendation algorithms",
/// 2004).

#include <cstdint>

#include "engine/data/csr.hpp"
#include "kernels/core/context.hpp"

namespace sheaf {

/// For each item its `neighbours` strongest others, 1 to 256, by the cosine of log(1 + times bought) over the users,
/// with `shrink` added to the product of the lengths. train_counts is [n_users, n_items] with the times; the result
/// [n_items, n_items], without the item itself.
HostCsr item_neighbours(Context& context, const HostCsr& train_counts, int64_t neighbours, double shrink);

/// The square matrix with 1 on its diagonal, which must be empty.
HostCsr with_diagonal(const HostCsr& matrix);

}  // namespace sheaf
