#pragma once
/// Baskets over time, from which counts, chances and baselines are made.

#include <cstdint>
#include <vector>

#include "engine/data/catalog.hpp"
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

/// The baskets of the training period.
BasketHistory training_baskets(const Purchases& purchases, int64_t n_users);
/// All of the history as a training period: what a model would have learned from at that time. The weight of a pair is
/// the sum over its baskets of 2^(-age / half_life_days), its count the number of baskets. Empty validation and test.
Purchases as_training(const BasketHistory& history, double half_life_days);

}  // namespace sheaf
