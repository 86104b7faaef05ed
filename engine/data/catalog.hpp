#pragma once
/// What the engine knows of purchases and products. Ids are dense int32. Names and files belong to the host.

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

/// n numbers of every item; 0 stands for a missing one.
struct ItemNumbers {
  int64_t n = 0;
  std::vector<float> values = {};  // [n_items, n]
};

struct Catalog {
  int64_t n_items = 0;
  std::vector<float> price;       // [n_items] in the currency of the data, > 0
  std::vector<int32_t> category;  // [n_items] >= 0
  std::vector<ItemField> fields;  // categorical features, may be empty
  ItemNumbers numbers = {};       // standardised over the items with training purchases
  ItemNumbers vectors = {};       // made elsewhere from texts or images, of about unit length; all 0 where missing
};

/// What each user bought, oldest first. A user without purchases has an empty range.
struct History {
  std::vector<int64_t> offsets{0};  // [n_users + 1], user u's purchases are [offsets[u], offsets[u + 1])
  std::vector<int32_t> items;
  /// Purchases of one basket follow each other and have its number; may be empty where it is not asked for.
  std::vector<int32_t> baskets;

  int64_t n_users() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t u) const { return offsets[static_cast<size_t>(u) + 1] - offsets[static_cast<size_t>(u)]; }
};

/// Purchases by period. Item and user ids are those of the catalog and the model.
struct Purchases {
  HostCsr train;          // [n_users, n_items], values = weight of the pair: how often, and how recently
  HostCsr train_counts;   // the same pattern, values = number of purchase lines
  HostCsr validation;     // [n_users, n_items] pattern
  HostCsr test;           // [n_users, n_items] pattern
  History train_history;  // of every user
  // Baskets that have a line in the period, numbered within it in the order of their first lines (by time). If a split
  // by lines cuts a basket, it is in several periods, each time with its lines of that period.
  HostCsr train_baskets;                        // [n_train_baskets, n_items] pattern
  HostCsr validation_baskets;                   // [n_validation_baskets, n_items] pattern
  HostCsr test_baskets;                         // [n_test_baskets, n_items] pattern
  std::vector<int32_t> train_basket_user;       // [n_train_baskets]
  std::vector<int32_t> validation_basket_user;  // [n_validation_baskets]
  std::vector<int32_t> test_basket_user;        // [n_test_baskets]
  std::vector<int64_t> train_basket_time;       // [n_train_baskets] seconds, of the basket's first line in the period
  std::vector<int64_t> validation_basket_time;  // [n_validation_baskets]
  std::vector<int64_t> test_basket_time;        // [n_test_baskets]
};

}  // namespace sheaf
