#include "engine/data/basket_history.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sheaf {

double BasketHistory::first_day() const { return static_cast<double>(*std::ranges::min_element(time)) / 86400.0; }
double BasketHistory::last_day() const { return static_cast<double>(*std::ranges::max_element(time)) / 86400.0; }

BasketHistory joined(const BasketHistory& a, const BasketHistory& b) {
  BasketHistory all = a;
  all.items.columns.insert(all.items.columns.end(), b.items.columns.begin(), b.items.columns.end());
  for (size_t r = 1; r < b.items.row_offsets.size(); ++r) {
    all.items.row_offsets.push_back(a.items.nnz() + b.items.row_offsets[r]);
  }
  all.user.insert(all.user.end(), b.user.begin(), b.user.end());
  all.time.insert(all.time.end(), b.time.begin(), b.time.end());
  return all;
}

BasketHistory until(const BasketHistory& history, double day) {
  BasketHistory part;
  part.n_users = history.n_users;
  part.items.n_columns = history.items.n_columns;
  for (int64_t b = 0; b < history.n_baskets(); ++b) {
    if (history.day(b) > day) continue;
    const auto row = history.items.row(b);
    part.items.columns.insert(part.items.columns.end(), row.begin(), row.end());
    part.items.row_offsets.push_back(part.items.nnz());
    part.user.push_back(history.user[static_cast<size_t>(b)]);
    part.time.push_back(history.time[static_cast<size_t>(b)]);
  }
  return part;
}

BasketHistory training_baskets(const Purchases& purchases, int64_t n_users) {
  return {purchases.train_baskets, purchases.train_basket_user, purchases.train_basket_time, n_users};
}

Purchases as_training(const BasketHistory& history, double half_life_days) {
  Purchases purchases;
  purchases.train_baskets = history.items;
  purchases.train_basket_user = history.user;
  purchases.train_basket_time = history.time;
  const double last = history.n_baskets() > 0 ? history.last_day() : 0.0;
  std::vector<int32_t> users, items;
  std::vector<float> weights;
  for (int64_t b = 0; b < history.n_baskets(); ++b) {
    const double weight = std::exp2((history.day(b) - last) / half_life_days);
    for (const int32_t item : history.items.row(b)) {
      users.push_back(history.user[static_cast<size_t>(b)]);
      items.push_back(item);
      weights.push_back(static_cast<float>(weight));
    }
  }
  const std::vector<float> ones(users.size(), 1.0f);
  purchases.train = csr_from_pairs(users, items, weights, history.n_users, history.items.n_columns);
  purchases.train_counts = csr_from_pairs(users, items, ones, history.n_users, history.items.n_columns);
  for (HostCsr* none : {&purchases.validation, &purchases.test}) {
    *none = csr_from_pairs({}, {}, {}, history.n_users, history.items.n_columns);
  }
  for (HostCsr* none : {&purchases.validation_baskets, &purchases.test_baskets}) {
    none->n_columns = history.items.n_columns;
  }
  // By user, then time.
  std::vector<int32_t> order(static_cast<size_t>(history.n_baskets()));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](int32_t b) {
    return std::pair(history.user[static_cast<size_t>(b)], history.time[static_cast<size_t>(b)]);
  });
  size_t at = 0;
  for (int64_t u = 0; u < history.n_users; ++u) {
    for (; at < order.size() && history.user[static_cast<size_t>(order[at])] == u; ++at) {
      for (const int32_t item : history.items.row(order[at])) {
        purchases.train_history.items.push_back(item);
        purchases.train_history.baskets.push_back(order[at]);
      }
    }
    purchases.train_history.offsets.push_back(std::ssize(purchases.train_history.items));
  }
  return purchases;
}

}  // namespace sheaf
