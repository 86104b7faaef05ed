#include "engine/associate/user_baskets.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace sheaf {
namespace {

size_t as_index(int64_t i) { return static_cast<size_t>(i); }

/// Row r gets the indices n with row_of(n) == r in ascending order.
template <class RowOf>
HostCsr indices_by_row(int64_t n_rows, int64_t n, const RowOf& row_of) {
  HostCsr rows;
  rows.n_columns = n;
  rows.row_offsets.assign(as_index(n_rows) + 1, 0);
  for (int64_t k = 0; k < n; ++k) ++rows.row_offsets[as_index(row_of(k)) + 1];
  std::partial_sum(rows.row_offsets.begin(), rows.row_offsets.end(), rows.row_offsets.begin());
  rows.columns.resize(as_index(n));
  std::vector<int64_t> next(rows.row_offsets.begin(), rows.row_offsets.end() - 1);
  for (int64_t k = 0; k < n; ++k) rows.columns[as_index(next[as_index(row_of(k))]++)] = static_cast<int32_t>(k);
  return rows;
}

}  // namespace

UserBaskets::UserBaskets(const HostCsr& baskets, std::span<const int32_t> user, std::span<const int64_t> time,
                         std::span<const int32_t> category)
    : baskets_(baskets), basket_user_(user), category_(category), basket_time_(time) {
  for (const int32_t c : category) n_categories_ = std::max(n_categories_, c + 1);
  for (const int32_t u : user) n_users_ = std::max(n_users_, u + 1);
  put_in_order();
  weigh();
  list_purchases();
}

void UserBaskets::put_in_order() {
  order_.resize(as_index(baskets_.n_rows()));
  std::iota(order_.begin(), order_.end(), 0);
  std::ranges::stable_sort(order_, {}, [this](int32_t basket) {
    return std::pair(basket_user_[as_index(basket)], basket_time_[as_index(basket)]);
  });
  HostCsr ordered;
  ordered.n_columns = baskets_.n_columns;
  for (const int32_t basket : order_) {
    user_.push_back(basket_user_[as_index(basket)]);
    const auto items = baskets_.row(basket);
    ordered.columns.insert(ordered.columns.end(), items.begin(), items.end());
    ordered.row_offsets.push_back(ordered.nnz());
  }
  places_ = transpose(ordered);
}

void UserBaskets::weigh() {
  std::vector<double> squares(as_index(n_users_));
  all_widths_.assign(as_index(n_users_), 0.0);
  std::vector<int32_t> kinds;
  for (int32_t place = 0; place < n_places(); ++place) {
    kinds.clear();
    double width = 0;
    for (const int32_t item : items(place)) {
      if (category(item) < 0) {
        ++width;  // nothing says that it is like another
      } else {
        kinds.push_back(category(item));
      }
    }
    std::ranges::sort(kinds);
    width += static_cast<double>(std::unique(kinds.begin(), kinds.end()) - kinds.begin());
    width_.push_back(width);
    all_widths_[as_index(user(place))] += width;
    squares[as_index(user(place))] += width * width;
  }
  spread_.assign(as_index(n_users_), 0.0);
  for (size_t u = 0; u < spread_.size(); ++u) {
    if (all_widths_[u] > 0) spread_[u] = squares[u] / (all_widths_[u] * all_widths_[u]);
  }
}

void UserBaskets::list_purchases() {
  for (int32_t item = 0; item < n_items(); ++item) {
    const size_t first = purchases_.size();
    for (const int32_t place : places(item)) {
      if (purchases_.size() == first || purchases_.back().user != user(place)) {
        purchases_.push_back({user(place), item, 0});
      }
      ++purchases_.back().baskets;
    }
  }
  std::ranges::sort(purchases_, {}, [this](const Purchase& p) { return std::tuple(p.user, category(p.item), p.item); });
  bought_ = indices_by_row(n_items(), static_cast<int64_t>(purchases_.size()),
                           [this](int64_t p) { return purchases_[as_index(p)].item; });
}

UserBaskets::Count UserBaskets::switches(int32_t i, int32_t j) const {
  const auto a = places(i), b = places(j);
  Count count;
  int32_t last_user = -1, last_item = -1, n_i = 0, n_j = 0;
  const auto leave_user = [&] {
    if (n_i > 0 && n_j > 0) count.expected += 2.0 * n_i * n_j / (n_i + n_j);
    n_i = n_j = 0;
    last_item = -1;
  };
  for (size_t x = 0, y = 0; x < a.size() || y < b.size();) {
    if (x < a.size() && y < b.size() && a[x] == b[y]) {  // both in one basket: no choice was made
      ++x;
      ++y;
      continue;
    }
    const bool takes_i = y == b.size() || (x < a.size() && a[x] < b[y]);
    const int32_t place = takes_i ? a[x++] : b[y++], item = takes_i ? i : j;
    if (user(place) != last_user) {
      leave_user();
      last_user = user(place);
    }
    if (last_item >= 0 && last_item != item) ++count.observed;
    last_item = item;
    ++(takes_i ? n_i : n_j);
  }
  leave_user();
  return count;
}

void UserBaskets::add_follows(int32_t first, int32_t then, int64_t seconds, Count& count) const {
  const auto others = places(then);
  const auto purchases = bought(then);
  auto purchase = purchases.begin();  // of the user at hand
  auto other = others.begin();        // the first place that is not before the one at hand
  const auto time = [this](int32_t place) { return basket_time_[as_index(order_[as_index(place)])]; };
  for (const int32_t place : places(first)) {
    const int32_t next = place + 1;
    if (next == n_places() || user(next) != user(place) || time(next) - time(place) > seconds) continue;
    while (other != others.end() && *other < place) ++other;
    if (other != others.end() && *other == place) continue;
    while (purchase != purchases.end() && purchases_[as_index(*purchase)].user < user(place)) ++purchase;
    if (purchase == purchases.end() || purchases_[as_index(*purchase)].user != user(place)) continue;
    count.observed += other != others.end() && *other == next;
    count.expected += std::min(
        1.0, purchases_[as_index(*purchase)].baskets * width_[as_index(next)] / all_widths_[as_index(user(place))]);
  }
}

UserBaskets::Count UserBaskets::follows(int32_t i, int32_t j, int64_t seconds) const {
  Count count;
  add_follows(i, j, seconds, count);
  add_follows(j, i, seconds, count);
  return count;
}

}  // namespace sheaf
