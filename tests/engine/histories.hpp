#pragma once
/// Purchases in their order, for the tests of models that look at it.

#include <vector>

#include "engine/data/catalog.hpp"

namespace sheaf::test {

/// Baskets of each user; a basket is a list of items.
using Baskets = std::vector<std::vector<std::vector<int32_t>>>;

inline History history_of(const Baskets& users) {
  History history;
  int32_t basket = 100;
  for (const auto& user : users) {
    for (const auto& items : user) {
      history.items.insert(history.items.end(), items.begin(), items.end());
      history.baskets.insert(history.baskets.end(), items.size(), basket++);
    }
    history.offsets.push_back(std::ssize(history.items));
  }
  return history;
}

/// The purchases of a history, one weight each.
inline sheaf::HostCsr bought(const History& history, int64_t n_items) {
  std::vector<int32_t> users;
  for (int64_t u = 0; u < history.n_users(); ++u) {
    users.insert(users.end(), static_cast<size_t>(history.length(u)), static_cast<int32_t>(u));
  }
  return csr_from_pairs(users, history.items, std::vector<float>(users.size(), 1.0f), history.n_users(), n_items);
}

}  // namespace sheaf::test
