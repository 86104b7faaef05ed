#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "engine/demand/basket_chances.hpp"
#include "engine/demand/habit_features.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

constexpr int64_t kDay = 86400;

BasketHistory history_of(const std::vector<std::vector<int32_t>>& baskets, const std::vector<int32_t>& users,
                         const std::vector<int64_t>& days, int64_t n_items, int64_t n_users) {
  BasketHistory history{test::pattern(baskets, n_items), users, {}, n_users};
  for (const int64_t day : days) history.time.push_back(day * kDay);
  return history;
}

/// A year of weekly baskets of 40 users. User u buys item i of ten with the chance `rate(u, i)` each week.
template <class Rate>
BasketHistory weekly(Rate&& rate) {
  constexpr int32_t kUsers = 40, kItems = 10, kWeeks = 52;
  const std::vector<float> draws = test::random_floats(kUsers * kItems * kWeeks, 21, 0.0f, 1.0f);
  std::vector<std::vector<int32_t>> baskets;
  std::vector<int32_t> users;
  std::vector<int64_t> days;
  for (int32_t week = 0; week < kWeeks; ++week) {
    for (int32_t u = 0; u < kUsers; ++u) {
      std::vector<int32_t> basket;
      for (int32_t i = 0; i < kItems; ++i) {
        if (static_cast<double>(draws[static_cast<size_t>((week * kUsers + u) * kItems + i)]) < rate(u, i)) {
          basket.push_back(i);
        }
      }
      if (basket.empty()) basket.push_back(u % kItems);
      baskets.push_back(basket);
      users.push_back(u);
      days.push_back(7 * week);
    }
  }
  return history_of(baskets, users, days, kItems, kUsers);
}

double planted_rate(int32_t u, int32_t i) { return (u + i) % 5 == 0 ? 0.6 : (u + i) % 5 == 1 ? 0.2 : 0.03; }

class BasketChancesTest : public test::OpTest {};

TEST_P(BasketChancesTest, FeaturesByHand) {
  // User 0: item 0 on days 0, 60 and 90, item 1 (same category) on day 90, item 2 on day 60. User 1: item 0 on day 90.
  const BasketHistory history = history_of({{0}, {0, 2}, {0, 1}, {0}}, {0, 0, 0, 1}, {0, 60, 90, 90}, 3, 2);
  const std::vector<int32_t> category{0, 0, 1};
  const HabitFeatures f(context(), history, category, 100.0);
  ASSERT_EQ(f.offsets, (std::vector<int64_t>{0, 3, 4}));
  ASSERT_EQ(f.items, (std::vector<int32_t>{0, 1, 2, 0}));
  const auto at = [](double age, double half_life) { return std::exp2(-age / half_life); };
  const auto& x = f.x[0];  // user 0, item 0: baskets 100, 40 and 10 days ago, all of the user's
  const double s60 = at(100, 60) + at(40, 60) + at(10, 60);
  EXPECT_NEAR(x[kRate60], std::log((s60 + 0.02) / 1.0), 1e-5);
  EXPECT_NEAR(x[kHistory], std::log(at(100, 365) + at(40, 365) + at(10, 365) + 0.1), 1e-5);
  EXPECT_NEAR(x[kCount], std::log(3.0), 1e-6);
  EXPECT_NEAR(x[kRepeat], std::log(4.0 / 2), 1e-6);  // four baskets, two users
  EXPECT_NEAR(x[kAgain], std::log(2.0 / 6), 1e-6);   // one of two came back
  // Two of its four baskets are of the last 28 of 100 days.
  EXPECT_NEAR(x[kTrend], std::log(3.0 / (4 * 0.28 + 1)), 1e-6);
  EXPECT_NEAR(x[kAge], std::log(11.0), 1e-6);
  EXPECT_NEAR(x[kOverdue], std::log(13.0 / 48), 1e-6);  // 45 days between its baskets
  const double s90 = at(100, 90) + at(40, 90) + at(10, 90);
  EXPECT_NEAR(x[kCategory], std::log((s90 + 0.02) / (s90 + 1)), 1e-5);  // the category is in all three
  EXPECT_NEAR(x[kShare], std::log((s90 + 0.02) / (s90 + at(10, 90) + 0.1)), 1e-5);
  // Item 2 once, 40 days ago: overdue is counted from the user's first basket, 100 days ago.
  EXPECT_NEAR(f.x[2][kOverdue], std::log(43.0 / 103), 1e-6);
  // What the network of `fusion` reads besides.
  const double decayed = at(100, 60) + at(40, 60) + 2 * at(10, 60);  // all four baskets hold item 0
  EXPECT_NEAR(x[kPopularity], std::log((decayed + 0.1) / (decayed + 1)), 1e-5);
  const double usual = (90.0 + 4 * 45.0) / 6;  // two gaps of item 0, and four of the mean gap, which is theirs
  EXPECT_NEAR(x[kUsualGap], std::log(13.0 / (usual + 3)), 1e-5);
  EXPECT_NEAR(x[kBasketSize], std::log(5.0 / 3), 1e-6);
  EXPECT_NEAR(x[kBasketsSince], 0.0, 1e-6);
  EXPECT_NEAR(f.x[2][kBasketsSince], std::log(2.0), 1e-6);
  EXPECT_NEAR(f.x[2][kCategoryAge], std::log(41.0), 1e-6);
  EXPECT_NEAR(x[kPace], std::log(1.5), 1e-6);
  EXPECT_NEAR(x[kLastGap], std::log(13.0 / 33), 1e-6);  // 30 days between the last two
  // Item 2 is the only one that says anything of likeness, and user 1 does not have it: no neighbours.
  EXPECT_NEAR(x[kNeighbours], std::log(1e-4), 1e-4);
}

TEST_P(BasketChancesTest, PairsThatWereNotBought) {
  // The history above, seen at day 100. User 1 has item 0 alone and is asked about items 0 and 2.
  const BasketHistory history = history_of({{0}, {0, 2}, {0, 1}, {0}}, {0, 0, 0, 1}, {0, 60, 90, 90}, 3, 2);
  const std::vector<int32_t> category{0, 0, 1};
  const HostCsr pairs = test::pattern({{1}, {0, 2}}, 3);
  const HabitFeatures f(context(), {.history = history, .category = category, .day = 100.0, .pairs = &pairs});
  const HabitFeatures own(context(), history, category, 100.0);
  ASSERT_EQ(f.items, (std::vector<int32_t>{1, 0, 2}));
  EXPECT_EQ(f.x[0], own.x[1]);
  EXPECT_EQ(f.x[1], own.x[3]);
  const auto& x = f.x[2];
  const auto n = [](double half_life) { return std::exp2(-10.0 / half_life); };
  EXPECT_NEAR(x[kRate60], std::log(0.02 / (n(60) + 1)), 1e-5);
  EXPECT_NEAR(x[kCount], std::log(0.5), 1e-6);
  EXPECT_NEAR(x[kCategory], std::log(0.02 / (n(90) + 1)), 1e-5);
  EXPECT_NEAR(x[kShare], std::log(0.02 / 0.1), 1e-5);
  EXPECT_NEAR(x[kAge], std::log(11.0), 1e-6);           // since the user's first basket
  EXPECT_NEAR(x[kOverdue], std::log(13.0 / 48), 1e-5);  // no gap of item 2 is known: that of all items, 45 days
  EXPECT_NEAR(x[kBasketsSince], std::log(2.0), 1e-6);
  EXPECT_NEAR(x[kCategoryAge], std::log(11.0), 1e-6);
  const HabitFeatures without(context(), {.history = history, .category = category, .day = 100.0, .neighbours = false});
  EXPECT_EQ(without.x[0][kNeighbours], 0.0f);
}

TEST_P(BasketChancesTest, NothingLaterIsSeen) {
  const BasketHistory history = weekly(planted_rate);
  const std::vector<int32_t> category(10, 0);
  const double day = history.first_day() + 200;
  const HabitFeatures whole(context(), history, category, day), cut(context(), until(history, day), category, day);
  EXPECT_EQ(whole.items, cut.items);
  EXPECT_EQ(whole.x, cut.x);
}

TEST_P(BasketChancesTest, FindsPlantedRates) {
  const BasketHistory history = weekly(planted_rate);
  const std::vector<int32_t> category(10, 0);
  const HabitModel model = fit_habits(context(), history, category, {.period_days = 28});
  ASSERT_TRUE(model.fitted) << model.reason;
  EXPECT_EQ(model.n_windows, 4);
  EXPECT_LT(model.log_loss, model.rate_log_loss);
  const BasketChances chances = basket_chances(context(), history, category, model, history.last_day(), 28);
  // Mean chance of each planted rate, over some 80 pairs of 52 weeks: within 0.05.
  double sum[3] = {}, n[3] = {};
  for (int32_t u = 0; u < 40; ++u) {
    const auto row = chances.own.row(u);
    for (size_t e = 0; e < row.size(); ++e) {
      const size_t kind = planted_rate(u, row[e]) > 0.5 ? 0 : planted_rate(u, row[e]) > 0.1 ? 1 : 2;
      sum[kind] += static_cast<double>(
          chances.own.values[static_cast<size_t>(chances.own.row_offsets[static_cast<size_t>(u)]) + e]);
      n[kind] += 1;
    }
  }
  EXPECT_NEAR(sum[0] / n[0], 0.6, 0.05);
  EXPECT_NEAR(sum[1] / n[1], 0.2, 0.05);
  EXPECT_NEAR(sum[2] / n[2], 0.04, 0.03);
  // A basket a week: four in 28 days.
  for (const float expected : chances.expected_baskets) EXPECT_NEAR(expected, 4.0, 0.3);
}

TEST_P(BasketChancesTest, TheSameBitsForAnyNumberOfThreads) {
  if (!context().on_cpu()) GTEST_SKIP() << "threads are the CPU's";
  const BasketHistory history = weekly(planted_rate);
  const std::vector<int32_t> category{0, 1, 2, 0, 1, 2, 0, 1, 2, 0};
  Context one(Device{}, {.n_threads = 1}), three(Device{}, {.n_threads = 3});
  const HabitModel a = fit_habits(one, history, category, {}), b = fit_habits(three, history, category, {});
  EXPECT_EQ(a.weight, b.weight);
  EXPECT_EQ(a.bias, b.bias);
  const BasketChances p = basket_chances(one, history, category, a, history.last_day(), 28),
                      q = basket_chances(three, history, category, b, history.last_day(), 28);
  EXPECT_EQ(p.own.values, q.own.values);
}

TEST_P(BasketChancesTest, WithoutRoomForAWindowChancesArePlainRates) {
  // Two baskets of one day: three of them hold item 0.
  const BasketHistory history = history_of({{0, 1}, {0}}, {0, 0}, {5, 5}, 2, 1);
  const std::vector<int32_t> category{0, 0};
  const HabitModel model = fit_habits(context(), history, category, {});
  EXPECT_FALSE(model.fitted);
  EXPECT_FALSE(model.reason.empty());
  const BasketChances chances = basket_chances(context(), history, category, model, 5.0, 28);
  EXPECT_NEAR(chances.own.values[0], 2.02 / 3.02, 1e-6);
  EXPECT_NEAR(chances.own.values[1], 1.02 / 3.02, 1e-6);
  EXPECT_FALSE(fit_habits(context(), history_of({}, {}, {}, 2, 1), category, {}).fitted);
}

TEST_P(BasketChancesTest, NewItemsFromTheHeadOfTheLists) {
  // Six users with two baskets each; of the listed items, user u has bought item 9. Items 0, with a high logit, are in
  // half of the later baskets; items 1, with a low one, are in none.
  BasketChances chances;
  chances.own = test::pattern({{9}, {9}, {9}, {9}, {9}, {9}}, 10);
  std::vector<int32_t> listed, users;
  std::vector<float> logits;
  std::vector<std::vector<int32_t>> baskets;
  std::vector<int64_t> days;
  for (int32_t u = 0; u < 6; ++u) {
    listed.insert(listed.end(), {9, 0, 1, -1});
    logits.insert(logits.end(), {9.0f, 1.0f, -1.0f, 0.0f});
    for (const bool holds : {true, false}) {
      baskets.push_back(holds ? std::vector<int32_t>{0, 9} : std::vector<int32_t>{9});
      users.push_back(u);
      days.push_back(1);
    }
  }
  const NewItemChance found = fit_new_items(chances, listed, logits, 4, history_of(baskets, users, days, 10, 6));
  EXPECT_EQ(found.n_pairs, 12);
  EXPECT_NEAR(found.of(1.0), 0.5, 0.1);
  EXPECT_LT(found.of(-1.0), 0.1);
  EXPECT_LT(NewItemChance{}.of(50.0), 1e-6);  // nothing learned: as good as never
}

TEST_P(BasketChancesTest, RefusesWhatDoesNotFit) {
  BasketHistory history = history_of({{0}}, {0}, {1}, 1, 1);
  const std::vector<int32_t> one{0}, two{0, 0};
  EXPECT_THROW(fit_habits(context(), history, two, {}), UsageError);
  EXPECT_THROW(fit_habits(context(), history, one, {.period_days = 0}), UsageError);
  EXPECT_THROW(fit_habits(context(), history, one, {.gap_days = -1}), UsageError);
  history.user.clear();
  EXPECT_THROW(fit_habits(context(), history, one, {}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(BasketChancesTest);

}  // namespace
}  // namespace sheaf
