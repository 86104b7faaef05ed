#include "engine/data/basket_history.hpp"

#include <algorithm>

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

}  // namespace sheaf
