#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "engine/bundles/set_packing.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr double kAll = std::numeric_limits<double>::infinity();

Column column(int64_t subject, std::vector<int32_t> items, float value, double demand = 1.0) {
  return {{subject, std::move(items), {}, value, 0.0f}, demand};
}

/// By the rules' text.
bool allowed(const std::vector<Column>& columns, const std::vector<int64_t>& chosen,
             const PackingConstraints& constraints, int64_t n_items) {
  if (constraints.count > 0 && std::ssize(chosen) > constraints.count) return false;
  std::vector<int64_t> uses(static_cast<size_t>(n_items), 0);
  std::vector<double> sold(uses.size(), 0.0);
  for (size_t a = 0; a < chosen.size(); ++a) {
    const Column& one = columns[static_cast<size_t>(chosen[a])];
    if (one.bundle.violation > 0) return false;
    for (const int32_t i : one.bundle.items) {
      ++uses[static_cast<size_t>(i)];
      sold[static_cast<size_t>(i)] += one.demand;
    }
    for (size_t b = 0; b < a; ++b) {
      const Column& other = columns[static_cast<size_t>(chosen[b])];
      if (constraints.one_per_subject && one.bundle.subject == other.bundle.subject) return false;
      if (constraints.max_overlap == std::numeric_limits<int64_t>::max()) continue;
      std::vector<int32_t> both;
      std::ranges::set_intersection(one.bundle.items, other.bundle.items, std::back_inserter(both));
      if (std::ssize(both) > constraints.max_overlap || one.bundle.items == other.bundle.items) return false;
    }
  }
  for (size_t i = 0; i < uses.size(); ++i) {
    if (constraints.max_uses > 0 && uses[i] > constraints.max_uses) return false;
    if (!constraints.stock.empty() && sold[i] > constraints.stock[i] * (1 + 1e-9)) return false;
  }
  return true;
}

double value_of(const std::vector<Column>& columns, const std::vector<int64_t>& chosen) {
  double value = 0;
  for (const int64_t c : chosen) value += static_cast<double>(columns[static_cast<size_t>(c)].bundle.value);
  return value;
}

double best_of_all(const std::vector<Column>& columns, const PackingConstraints& constraints, int64_t n_items) {
  double best = 0;
  for (uint32_t mask = 0; mask < 1u << columns.size(); ++mask) {
    std::vector<int64_t> chosen;
    for (size_t c = 0; c < columns.size(); ++c) {
      if ((mask >> c & 1u) != 0) chosen.push_back(static_cast<int64_t>(c));
    }
    const double value = value_of(columns, chosen);
    if (value > best && allowed(columns, chosen, constraints, n_items)) best = value;
  }
  return best;
}

TEST(SetPacking, IsNearlyAlwaysTheBestAndNeverAboveItsBound) {
  constexpr int64_t n_items = 10;
  std::mt19937 engine(3);
  const auto draw = [&](int n) { return static_cast<int>(engine() % static_cast<unsigned>(n)); };
  int equal = 0, greedy_equal = 0;
  constexpr int kCases = 150;
  for (int trial = 0; trial < kCases; ++trial) {
    std::vector<Column> columns;
    for (int c = 0; c < 13; ++c) {
      std::set<int32_t> items;
      while (std::ssize(items) < 2 + draw(3)) items.insert(draw(n_items));
      columns.push_back(
          column(draw(5), {items.begin(), items.end()}, 1.0f + static_cast<float>(draw(1000)) / 100.0f, 1.0 + draw(4)));
      if (draw(10) == 0) columns.back().bundle.violation = 1.0f;
    }
    PackingConstraints constraints;
    constraints.count = trial % 3 == 0 ? 4 : 0;
    constraints.one_per_subject = trial % 2 == 0;
    if (trial % 4 != 1) constraints.max_overlap = trial % 5 % 3;
    constraints.max_uses = trial % 5 < 3 ? 1 + trial % 3 : 0;
    if (trial % 3 != 1) {
      for (int64_t i = 0; i < n_items; ++i) constraints.stock.push_back(draw(4) == 0 ? kAll : draw(9));
    }
    const Packing choice = pack_bundles(columns, constraints, n_items);
    ASSERT_TRUE(allowed(columns, choice.chosen, constraints, n_items)) << trial;
    EXPECT_NEAR(choice.value, value_of(columns, choice.chosen), 1e-9) << trial;
    EXPECT_TRUE(std::ranges::is_sorted(choice.chosen, std::ranges::greater{},
                                       [&](int64_t c) { return columns[static_cast<size_t>(c)].bundle.value; }));
    const double best = best_of_all(columns, constraints, n_items);
    EXPECT_LE(choice.value, best + 1e-9) << trial;
    EXPECT_GE(choice.value, 0.85 * best) << trial;
    EXPECT_GE(choice.bound, best - 1e-9) << trial;
    equal += choice.value > best - 1e-9 ? 1 : 0;
    // What taking the best that still fits would give.
    std::vector<int64_t> order(columns.size()), greedy;
    for (size_t c = 0; c < order.size(); ++c) order[c] = static_cast<int64_t>(c);
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](int64_t c) { return columns[static_cast<size_t>(c)].bundle.value; });
    for (const int64_t c : order) {
      greedy.push_back(c);
      if (!allowed(columns, greedy, constraints, n_items)) greedy.pop_back();
    }
    EXPECT_GE(choice.value, value_of(columns, greedy) - 1e-9) << trial;
    greedy_equal += value_of(columns, greedy) > best - 1e-9 ? 1 : 0;
  }
  EXPECT_GE(equal, kCases * 95 / 100);
  EXPECT_LT(greedy_equal, equal);
}

TEST(SetPacking, ScarceItemsGoToWhoWantsThemMoreAndHaveAPrice) {
  // Both want item 0 most; the second has a good other bundle, the first has not.
  const std::vector<Column> columns{column(1, {0, 1}, 10), column(1, {1, 2}, 1), column(2, {0, 3}, 11),
                                    column(2, {3, 4}, 9)};
  PackingConstraints constraints;
  constraints.one_per_subject = true;
  constraints.stock.assign(5, kAll);
  constraints.stock[0] = 1;
  const Packing choice = pack_bundles(columns, constraints, 5);
  EXPECT_EQ(choice.chosen, (std::vector<int64_t>{0, 3}));
  EXPECT_DOUBLE_EQ(choice.value, 19);
  EXPECT_NEAR(choice.bound, 19, 0.05);  // at a price of item 0 between 2 and 9
  EXPECT_GE(choice.price[0], 1.9);
  EXPECT_LE(choice.price[0], 9.1);
  for (size_t i = 1; i < 5; ++i) EXPECT_EQ(choice.price[i], 0);
}

TEST(SetPacking, WithoutLimitsTakesAllThatIsWorthSomething) {
  const std::vector<Column> columns{column(1, {0, 1}, 3), column(1, {0, 1}, 2), column(2, {0, 1}, -1)};
  const Packing all = pack_bundles(columns, {}, 2);
  EXPECT_EQ(all.chosen, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(all.value, 5);
  EXPECT_EQ(all.bound, 5);
  PackingConstraints apart;
  apart.max_overlap = 2;  // as many as they have, but no copy
  EXPECT_EQ(pack_bundles(columns, apart, 2).chosen, (std::vector<int64_t>{0}));
  EXPECT_TRUE(pack_bundles({}, apart, 2).chosen.empty());
  PackingConstraints wrong;
  wrong.stock = {1};
  EXPECT_THROW(pack_bundles(columns, wrong, 2), UsageError);
}

}  // namespace
}  // namespace sheaf
