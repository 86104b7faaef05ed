#pragma once
/// What the engine is told about purchases and products. Ids are dense int32; who they are outside is the host's business.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/csr.hpp"

namespace sheaf {

/// One categorical attribute of every item.
struct ItemField {
  std::string name;
  int32_t n_values = 0;
  std::vector<int32_t> codes;  // [n_items] in [0, n_values)
};

struct Catalog {
  int64_t n_items = 0;
  std::vector<float> price;       // [n_items] in the currency of the data, > 0
  std::vector<int32_t> category;  // [n_items] >= 0
  std::vector<ItemField> fields;  // categorical features, may be empty
};

/// Purchases of one period as unique pairs with how often each happened.
struct Purchases {
  HostCsr user_items;                // [n_users, n_items], values = number of purchase lines
  HostCsr basket_items;              // [n_baskets of the period, n_items] pattern
  std::vector<int32_t> basket_user;  // [n_baskets of the period]
};

}  // namespace sheaf
