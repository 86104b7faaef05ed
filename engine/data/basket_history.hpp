#pragma once
/// Baskets over time, from which counts, chances and baselines are made.

#include <cstdint>
#include <vector>

#include "engine/data/csr.hpp"

namespace sheaf {

/// Baskets and their users.
struct BasketsOf {
  const HostCsr* items = nullptr;              // [n_baskets, n_items] pattern
  const std::vector<int32_t>* user = nullptr;  // [n_baskets]
};

/// The baskets of a history, in any order.
struct BasketHistory {
  HostCsr items;              // [n_baskets, n_items] pattern
  std::vector<int32_t> user;  // [n_baskets] 0 .. n_users - 1
  std::vector<int64_t> time;  // [n_baskets] seconds since 1970-01-01
  int64_t n_users = 0;

  BasketsOf view() const { return {&items, &user}; }
  int64_t n_baskets() const { return items.n_rows(); }
  /// Days since 1970-01-01.
  double day(int64_t basket) const { return static_cast<double>(time[static_cast<size_t>(basket)]) / 86400.0; }
  double first_day() const;  // of a history that is not empty
  double last_day() const;
};

/// The baskets of a, followed by those of b.
BasketHistory joined(const BasketHistory& a, const BasketHistory& b);
/// The baskets that are not later than `day`.
BasketHistory until(const BasketHistory& history, double day);

}  // namespace sheaf
