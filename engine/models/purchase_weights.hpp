#pragma once
/// What a purchase counts in the row of its user: 1 ("one"), log(1 + times bought) ("log"), or the weight by recency
/// that the import gave it ("recency").

#include <string>

#include "engine/data/catalog.hpp"

namespace sheaf {

/// Of the training purchases, [n_users, n_items] with values. `kind` is one of the words above.
HostCsr purchase_weights(const Purchases& purchases, const std::string& kind);
/// Of people that a model never saw: their values (1 where they are empty) are the times bought for "log", and the
/// weights themselves for "recency".
HostCsr weights_of_strangers(const HostCsr& purchases, const std::string& kind);

}  // namespace sheaf
