#include "engine/demand/habit_features.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/associate/similar_users.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf {
namespace {

constexpr int64_t kNeighbourUsers = 150;
constexpr double kLateDays = 28.0;
constexpr double kPriorGaps = 4.0;

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
  double count = 0, s14 = 0, s60 = 0, s90 = 0, s365 = 0, first = 0, before = 0, last = 0;  // days of the baskets
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
    habit.before = habit.last;
    habit.last = at;
  }
  return habits;
}

/// Decayed baskets of a user with each category, and decayed purchases of its items.
struct CategorySums {
  std::vector<double> baskets, purchases, last;  // [n_categories], zero outside the user's
};

/// r of the 150 users most alike, weighted by likeness, for every pair: into `mean` [nnz of pairs].
void mean_of_neighbours(Context& context, const HostCsr& rates, const HostCsr& pairs, std::vector<float>& mean) {
  mean.assign(pairs.columns.size(), 0.0f);
  HostCsr similar = similar_users(context, rates, rates, kNeighbourUsers, true);
  scale_rows_to_one(similar);
  std::vector<std::vector<float>> scratch(static_cast<size_t>(context.n_threads()),
                                          std::vector<float>(static_cast<size_t>(rates.n_columns), 0.0f));
  parallel_for(context, pairs.n_rows(), 16, [&](int64_t begin, int64_t end, int thread) {
    std::vector<float>& sums = scratch[static_cast<size_t>(thread)];
    for (int64_t u = begin; u < end; ++u) {
      const auto others = similar.row(u);
      const auto weight = similar.values.begin() + similar.row_offsets[static_cast<size_t>(u)];
      for (size_t v = 0; v < others.size(); ++v) {
        const auto items = rates.row(others[v]);
        const auto rate = rates.values.begin() + rates.row_offsets[static_cast<size_t>(others[v])];
        for (size_t e = 0; e < items.size(); ++e) {
          sums[static_cast<size_t>(items[e])] += weight[static_cast<int64_t>(v)] * rate[static_cast<int64_t>(e)];
        }
      }
      auto at = static_cast<size_t>(pairs.row_offsets[static_cast<size_t>(u)]);
      for (const int32_t item : pairs.row(u)) mean[at++] = sums[static_cast<size_t>(item)];
      for (const int32_t other : others) {
        for (const int32_t item : rates.row(other)) sums[static_cast<size_t>(item)] = 0.0f;
      }
    }
  });
}

/// What a user did with an item that may be among the user's habits.
Habit habit_with(const std::vector<Habit>& habits, int32_t item, double first_day) {
  const auto at = std::ranges::lower_bound(habits, item, {}, &Habit::item);
  if (at != habits.end() && at->item == item) return *at;
  return {.item = item, .first = first_day, .last = first_day};
}

}  // namespace

ItemHabits::ItemHabits(const BasketHistory& history, double day) {
  const auto n_items = static_cast<size_t>(history.items.n_columns);
  for (std::vector<float>* sums : {&baskets, &buyers, &again, &late, &share, &gap}) sums->assign(n_items, 0.0f);
  const UserBaskets own(history, day);
  std::vector<double> decayed(n_items, 0.0), days(n_items, 0.0), gaps(n_items, 0.0);
  double all_decayed = 0.0, all_days = 0.0, all_gaps = 0.0;
  for (const int64_t b : own.basket) {
    const double weight = decay(day - history.day(b), 60);
    all_decayed += weight;
    for (const int32_t item : history.items.row(b)) {
      decayed[static_cast<size_t>(item)] += weight;
      if (history.day(b) > day - kLateDays) late[static_cast<size_t>(item)] += 1;
    }
  }
  UserSums unused;
  for (int64_t u = 0; u < history.n_users; ++u) {
    for (const Habit& habit : habits_of(history, own.of(u), day, unused)) {
      const auto item = static_cast<size_t>(habit.item);
      baskets[item] += static_cast<float>(habit.count);
      buyers[item] += 1;
      if (habit.count <= 1) continue;
      again[item] += 1;
      days[item] += habit.last - habit.first;
      gaps[item] += habit.count - 1;
      all_days += habit.last - habit.first;
      all_gaps += habit.count - 1;
    }
  }
  const double usual = all_gaps > 0.0 ? all_days / all_gaps : kLateDays;
  for (size_t i = 0; i < n_items; ++i) {
    share[i] = static_cast<float>(std::log((decayed[i] + 0.1) / (all_decayed + 1.0)));
    gap[i] = static_cast<float>((days[i] + kPriorGaps * usual) / (gaps[i] + kPriorGaps));
  }
  late_share = own.basket.empty() ? 1.0 : std::min(1.0, kLateDays / std::max(kLateDays, day - history.first_day()));
}

HabitFeatures::HabitFeatures(Context& context, const HabitSource& source) {
  const BasketHistory& history = source.history;
  const double day = source.day;
  const UserBaskets own(history, day);
  const auto n_users = static_cast<size_t>(history.n_users);
  const size_t n_categories =
      source.category.empty() ? 0 : static_cast<size_t>(*std::ranges::max_element(source.category)) + 1;
  std::vector<std::vector<Habit>> habits(n_users);
  std::vector<UserSums> sums(n_users);
  parallel_for(context, history.n_users, 16, [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      habits[static_cast<size_t>(u)] = habits_of(history, own.of(u), day, sums[static_cast<size_t>(u)]);
    }
  });
  const ItemHabits counted = source.items ? ItemHabits() : ItemHabits(history, day);
  const ItemHabits& of_items = source.items ? *source.items : counted;
  HostCsr rates;
  rates.n_columns = history.items.n_columns;
  for (size_t u = 0; u < n_users; ++u) {
    for (const Habit& habit : habits[u]) {
      rates.columns.push_back(habit.item);
      rates.values.push_back(static_cast<float>(habit.s90 / (sums[u].n90 + 1.0)));
    }
    rates.row_offsets.push_back(rates.nnz());
  }
  const HostCsr& pairs = source.pairs ? *source.pairs : rates;
  std::vector<float> neighbours;
  if (source.neighbours) mean_of_neighbours(context, rates, pairs, neighbours);

  x.resize(pairs.columns.size());
  std::vector<CategorySums> scratch(static_cast<size_t>(context.n_threads()),
                                    {std::vector<double>(n_categories, 0.0), std::vector<double>(n_categories, 0.0),
                                     std::vector<double>(n_categories, 0.0)});
  parallel_for(context, history.n_users, 16, [&](int64_t begin, int64_t end, int thread) {
    CategorySums& in = scratch[static_cast<size_t>(thread)];
    std::vector<int32_t> seen;
    for (int64_t u = begin; u < end; ++u) {
      const UserSums& total = sums[static_cast<size_t>(u)];
      const std::vector<Habit>& bought = habits[static_cast<size_t>(u)];
      const auto code = [&](int32_t item) { return static_cast<size_t>(source.category[static_cast<size_t>(item)]); };
      double lines = 0.0;
      for (const int64_t b : own.of(u)) {
        seen.clear();
        for (const int32_t item : history.items.row(b)) seen.push_back(source.category[static_cast<size_t>(item)]);
        lines += static_cast<double>(seen.size());
        std::ranges::sort(seen);
        seen.erase(std::ranges::unique(seen).begin(), seen.end());
        for (const int32_t c : seen) in.baskets[static_cast<size_t>(c)] += decay(day - history.day(b), 90);
        for (const int32_t c : seen) in.last[static_cast<size_t>(c)] = history.day(b);
      }
      for (const Habit& habit : bought) in.purchases[code(habit.item)] += habit.s90;
      std::vector<double> days;  // of the user's baskets, oldest first
      for (const int64_t b : own.of(u)) days.push_back(history.day(b));
      const auto after = [&](double moment) {
        return static_cast<double>(days.end() - std::ranges::upper_bound(days, moment));
      };
      const double pace = after(day - kLateDays);
      const double basket_size = own.of(u).empty() ? 1.0 : std::max(1.0, lines / static_cast<double>(own.of(u).size()));
      auto at = static_cast<size_t>(pairs.row_offsets[static_cast<size_t>(u)]);
      for (const int32_t of : pairs.row(u)) {
        const Habit h = habit_with(bought, of, own.of(u).empty() ? day : total.first);
        const auto item = static_cast<size_t>(of);
        const double since = day - h.last, usual = static_cast<double>(of_items.gap[item]);
        const double gap = h.count > 1 ? (h.last - h.first) / (h.count - 1) : h.count > 0 ? day - total.first : usual;
        const auto rate = [](double s, double n) {
          return static_cast<float>(std::log((s + 0.02) / (std::max(0.0, n - s) + 1.0)));
        };
        const auto log = [](double value) { return static_cast<float>(std::log(value)); };
        const double n_baskets = of_items.baskets[item], n_buyers = of_items.buyers[item];
        auto& row = x[at];
        row[kRate14] = rate(h.s14, total.n14);
        row[kRate60] = rate(h.s60, total.n60);
        row[kRate365] = rate(h.s365, total.n365);
        row[kHistory] = log(total.n365 + 0.1);
        row[kCount] = log(std::max(0.5, h.count));
        row[kCategory] = log((in.baskets[code(of)] + 0.02) / (total.n90 + 1.0));
        row[kShare] = log((h.s90 + 0.02) / (in.purchases[code(of)] + 0.1));
        row[kRepeat] = log(std::max(1.0, n_baskets) / std::max(1.0, n_buyers));
        row[kAgain] = log((of_items.again[item] + 1.0) / (n_buyers + 4.0));
        row[kTrend] = log((of_items.late[item] + 1.0) / (n_baskets * of_items.late_share + 1.0));
        row[kAge] = log(1.0 + since);
        row[kOverdue] = log((since + 3.0) / (gap + 3.0));
        row[kNeighbours] = source.neighbours ? log(1e-4 + static_cast<double>(neighbours[at])) : 0.0f;
        row[kPopularity] = of_items.share[item];
        row[kUsualGap] = log((since + 3.0) / (usual + 3.0));
        row[kBasketSize] = log(basket_size);
        row[kBasketsSince] = log(1.0 + (h.count > 0 ? after(h.last) : static_cast<double>(days.size())));
        row[kCategoryAge] = log(1.0 + (in.baskets[code(of)] > 0 ? day - in.last[code(of)] : day - h.first));
        row[kPace] = log(0.5 + pace);
        row[kLastGap] = log((since + 3.0) / ((h.count > 1 ? h.last - h.before : gap) + 3.0));
        ++at;
      }
      for (const int64_t b : own.of(u)) {
        for (const int32_t item : history.items.row(b)) in.baskets[code(item)] = 0.0;
      }
      for (const Habit& habit : bought) in.purchases[code(habit.item)] = 0.0;
    }
  });
  offsets = pairs.row_offsets;
  items = pairs.columns;
}

}  // namespace sheaf
