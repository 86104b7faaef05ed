#include "engine/demand/habit_features.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/parallel.hpp"
#include "kernels/sparse/spgemm_topk.hpp"

namespace sheaf {
namespace {

constexpr int64_t kNeighbourUsers = 150;
constexpr double kLateDays = 28.0;
/// Products of the search for users alike; beyond, the items that most users have are left out of it.
constexpr double kMaxProducts = 4e9;

double decay(double age, double half_life) { return std::exp2(-age / half_life); }

/// The baskets of each user up to a day, oldest first.
struct UserBaskets {
  std::vector<int64_t> offsets{0};
  std::vector<int64_t> basket;

  UserBaskets(const BasketHistory& history, double day) {
    std::vector<int64_t> order;
    for (int64_t b = 0; b < history.n_baskets(); ++b) {
      if (history.day(b) <= day) order.push_back(b);
    }
    std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
      const auto ua = history.user[static_cast<size_t>(a)], ub = history.user[static_cast<size_t>(b)];
      return ua != ub ? ua < ub : history.day(a) < history.day(b);
    });
    for (int64_t u = 0, at = 0; u < history.n_users; ++u) {
      while (at < std::ssize(order) && history.user[static_cast<size_t>(order[static_cast<size_t>(at)])] == u) ++at;
      offsets.push_back(at);
    }
    basket = std::move(order);
  }
  std::span<const int64_t> of(int64_t user) const {
    const auto at = static_cast<size_t>(user);
    return std::span(basket).subspan(static_cast<size_t>(offsets[at]),
                                     static_cast<size_t>(offsets[at + 1] - offsets[at]));
  }
};

/// What one user did with one item.
struct Habit {
  int32_t item = 0;
  double count = 0, s14 = 0, s60 = 0, s90 = 0, s365 = 0, first = 0, last = 0;
};

struct UserSums {
  double n14 = 0, n60 = 0, n90 = 0, n365 = 0, first = 0;
};

std::vector<Habit> habits_of(const BasketHistory& history, std::span<const int64_t> baskets, double day,
                             UserSums& sums) {
  std::vector<std::pair<int32_t, double>> bought;  // by item, then day
  for (const int64_t b : baskets) {
    const double at = history.day(b), age = day - at;
    if (b == baskets.front()) sums.first = at;
    sums.n14 += decay(age, 14);
    sums.n60 += decay(age, 60);
    sums.n90 += decay(age, 90);
    sums.n365 += decay(age, 365);
    for (const int32_t item : history.items.row(b)) bought.emplace_back(item, at);
  }
  std::ranges::sort(bought);
  std::vector<Habit> habits;
  for (const auto& [item, at] : bought) {
    if (habits.empty() || habits.back().item != item) habits.push_back({.item = item, .first = at});
    Habit& habit = habits.back();
    const double age = day - at;
    habit.count += 1;
    habit.s14 += decay(age, 14);
    habit.s60 += decay(age, 60);
    habit.s90 += decay(age, 90);
    habit.s365 += decay(age, 365);
    habit.last = at;
  }
  return habits;
}

/// Decayed baskets of a user with each category, and decayed purchases of its items.
struct CategorySums {
  std::vector<double> baskets, purchases;  // [n_categories], zero outside the user's
};

/// r of the neighbours, weighted by likeness, for every (user, item) of the rows: into `mean` [nnz].
void mean_of_neighbours(Context& context, const HostCsr& rates, const std::vector<double>& buyers,
                        std::vector<float>& mean) {
  mean.assign(rates.columns.size(), 0.0f);
  const int64_t n_users = rates.n_rows();
  const int64_t k = std::min<int64_t>(kNeighbourUsers, n_users - 1);
  if (k < 1 || rates.nnz() == 0) return;
  // The most common items say least of likeness and cost most.
  std::vector<double> by_size = buyers;
  std::ranges::sort(by_size);
  double products = 0.0, most_buyers = 0.0;
  for (const double n : by_size) {
    products += n * n;
    if (products > kMaxProducts) break;
    most_buyers = n;
  }
  HostCsr likeness;
  likeness.n_columns = rates.n_columns;
  std::vector<float> length;
  for (int64_t u = 0; u < n_users; ++u) {
    const auto first = static_cast<size_t>(rates.row_offsets[static_cast<size_t>(u)]);
    const auto items = rates.row(u);
    double squares = 0.0;
    for (size_t e = 0; e < items.size(); ++e) {
      const double n = buyers[static_cast<size_t>(items[e])];
      const double idf = std::log(static_cast<double>(n_users) / (1.0 + n));
      if (n > most_buyers || idf <= 0.0) continue;
      const auto value = static_cast<float>(std::sqrt(static_cast<double>(rates.values[first + e])) * idf);
      likeness.columns.push_back(items[e]);
      likeness.values.push_back(value);
      squares += static_cast<double>(value) * static_cast<double>(value);
    }
    likeness.row_offsets.push_back(likeness.nnz());
    length.push_back(squares > 0.0 ? static_cast<float>(std::sqrt(squares)) : 1.0f);
  }
  const DeviceCsr rows(context, likeness), columns(context, transpose(likeness)),
      itself(context, identity_csr(n_users));
  const Buffer<float> lengths(context, length);
  Buffer<int32_t> users(context, n_users * k);
  Buffer<float> scores(context, n_users * k);
  sparse::spgemm_topk(context, {.history = rows.view(),
                                .similarity = columns.view(),
                                .exclude = itself.view(),
                                .row_length = lengths.view(),
                                .item_length = lengths.view(),
                                .top_items = users.matrix(n_users, k),
                                .top_scores = scores.matrix(n_users, k)});
  const std::vector<int32_t> alike = users.to_host();
  const std::vector<float> weight = scores.to_host();
  std::vector<std::vector<float>> scratch(static_cast<size_t>(context.n_threads()),
                                          std::vector<float>(static_cast<size_t>(rates.n_columns), 0.0f));
  parallel_for(context, n_users, 16, [&](int64_t begin, int64_t end, int thread) {
    std::vector<float>& sums = scratch[static_cast<size_t>(thread)];
    for (int64_t u = begin; u < end; ++u) {
      double total = 0.0;
      const auto each = [&](auto&& f) {
        for (int64_t r = u * k; r < (u + 1) * k; ++r) {
          const int32_t other = alike[static_cast<size_t>(r)];
          if (other < 0) break;
          const auto first = static_cast<size_t>(rates.row_offsets[static_cast<size_t>(other)]);
          const auto items = rates.row(other);
          for (size_t e = 0; e < items.size(); ++e)
            f(sums[static_cast<size_t>(items[e])], weight[static_cast<size_t>(r)] * rates.values[first + e]);
        }
      };
      for (int64_t r = u * k; r < (u + 1) * k; ++r) total += static_cast<double>(weight[static_cast<size_t>(r)]);
      each([](float& sum, float value) { sum += value; });
      const auto own = rates.row(u);
      const auto first = static_cast<size_t>(rates.row_offsets[static_cast<size_t>(u)]);
      for (size_t e = 0; e < own.size() && total > 0.0; ++e) {
        mean[first + e] = static_cast<float>(static_cast<double>(sums[static_cast<size_t>(own[e])]) / total);
      }
      each([](float& sum, float) { sum = 0.0f; });
    }
  });
}

}  // namespace

HabitFeatures::HabitFeatures(Context& context, const BasketHistory& history, std::span<const int32_t> category,
                             double day) {
  const UserBaskets own(history, day);
  const auto n_users = static_cast<size_t>(history.n_users);
  const auto n_items = static_cast<size_t>(history.items.n_columns);
  const size_t n_categories = category.empty() ? 0 : static_cast<size_t>(*std::ranges::max_element(category)) + 1;
  std::vector<std::vector<Habit>> habits(n_users);
  std::vector<UserSums> sums(n_users);
  parallel_for(context, history.n_users, 16, [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      habits[static_cast<size_t>(u)] = habits_of(history, own.of(u), day, sums[static_cast<size_t>(u)]);
    }
  });
  std::vector<double> item_baskets(n_items, 0.0), item_buyers(n_items, 0.0), item_again(n_items, 0.0),
      item_late(n_items, 0.0);
  for (const int64_t b : own.basket) {
    if (history.day(b) <= day - kLateDays) continue;
    for (const int32_t item : history.items.row(b)) item_late[static_cast<size_t>(item)] += 1;
  }
  const double late_share =
      own.basket.empty() ? 1.0 : std::min(1.0, kLateDays / std::max(kLateDays, day - history.first_day()));
  HostCsr rates;
  rates.n_columns = history.items.n_columns;
  for (size_t u = 0; u < n_users; ++u) {
    for (const Habit& habit : habits[u]) {
      item_baskets[static_cast<size_t>(habit.item)] += habit.count;
      item_buyers[static_cast<size_t>(habit.item)] += 1;
      item_again[static_cast<size_t>(habit.item)] += habit.count > 1 ? 1 : 0;
      rates.columns.push_back(habit.item);
      rates.values.push_back(static_cast<float>(habit.s90 / (sums[u].n90 + 1.0)));
    }
    rates.row_offsets.push_back(rates.nnz());
  }
  std::vector<float> neighbours;
  mean_of_neighbours(context, rates, item_buyers, neighbours);

  x.resize(rates.columns.size());
  std::vector<CategorySums> scratch(static_cast<size_t>(context.n_threads()),
                                    {std::vector<double>(n_categories, 0.0), std::vector<double>(n_categories, 0.0)});
  parallel_for(context, history.n_users, 16, [&](int64_t begin, int64_t end, int thread) {
    CategorySums& in = scratch[static_cast<size_t>(thread)];
    std::vector<int32_t> seen;
    for (int64_t u = begin; u < end; ++u) {
      const UserSums& total = sums[static_cast<size_t>(u)];
      const auto code = [&](int32_t item) { return static_cast<size_t>(category[static_cast<size_t>(item)]); };
      for (const int64_t b : own.of(u)) {
        seen.clear();
        for (const int32_t item : history.items.row(b)) seen.push_back(category[static_cast<size_t>(item)]);
        std::ranges::sort(seen);
        seen.erase(std::ranges::unique(seen).begin(), seen.end());
        for (const int32_t c : seen) in.baskets[static_cast<size_t>(c)] += decay(day - history.day(b), 90);
      }
      for (const Habit& habit : habits[static_cast<size_t>(u)]) in.purchases[code(habit.item)] += habit.s90;
      auto at = static_cast<size_t>(rates.row_offsets[static_cast<size_t>(u)]);
      for (const Habit& h : habits[static_cast<size_t>(u)]) {
        const auto item = static_cast<size_t>(h.item);
        const double since = day - h.last;
        const double gap = h.count > 1 ? (h.last - h.first) / (h.count - 1) : day - total.first;
        const auto rate = [](double s, double n) {
          return static_cast<float>(std::log((s + 0.02) / (std::max(0.0, n - s) + 1.0)));
        };
        const auto log = [](double value) { return static_cast<float>(std::log(value)); };
        auto& row = x[at];
        row[kRate14] = rate(h.s14, total.n14);
        row[kRate60] = rate(h.s60, total.n60);
        row[kRate365] = rate(h.s365, total.n365);
        row[kHistory] = log(total.n365 + 0.1);
        row[kCount] = log(h.count);
        row[kCategory] = log((in.baskets[code(h.item)] + 0.02) / (total.n90 + 1.0));
        row[kShare] = log((h.s90 + 0.02) / (in.purchases[code(h.item)] + 0.1));
        row[kRepeat] = log(item_baskets[item] / item_buyers[item]);
        row[kAgain] = log((item_again[item] + 1.0) / (item_buyers[item] + 4.0));
        row[kTrend] = log((item_late[item] + 1.0) / (item_baskets[item] * late_share + 1.0));
        row[kAge] = log(1.0 + since);
        row[kOverdue] = log((since + 3.0) / (gap + 3.0));
        row[kNeighbours] = log(1e-4 + static_cast<double>(neighbours[at]));
        ++at;
      }
      for (const Habit& habit : habits[static_cast<size_t>(u)])
        in.baskets[code(habit.item)] = in.purchases[code(habit.item)] = 0.0;
    }
  });
  offsets = std::move(rates.row_offsets);
  items = std::move(rates.columns);
}

}  // namespace sheaf
