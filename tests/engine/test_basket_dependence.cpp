#include <gtest/gtest.h>

#include <cmath>

#include "engine/demand/basket_dependence.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

class BasketDependenceTest : public test::OpTest {
 protected:
  /// 2,000 baskets of 12 items, each in a fifth of them; items 0 and 1 come together, as do 2 and 3; 4 and 5 never do.
  std::vector<std::vector<int32_t>> planted(uint32_t seed) {
    const std::vector<float> draws = test::random_floats(2000 * 12, seed, 0.0f, 1.0f);
    std::vector<std::vector<int32_t>> baskets;
    for (size_t b = 0; b < 2000; ++b) {
      const auto draw = [&](size_t i) { return draws[b * 12 + i] < 0.2f; };
      std::vector<int32_t> basket;
      for (int32_t i = 0; i < 12; ++i) {
        const bool here = i == 1   ? draw(0)
                          : i == 3 ? draw(2)
                          : i == 5 ? draw(5) && !draw(4)
                                   : draw(static_cast<size_t>(i));
        if (here) basket.push_back(i);
      }
      baskets.push_back(basket);
    }
    return baskets;
  }
  const std::vector<int32_t> category_{0, 1, 0, 1, 2, 2, 3, 3, 3, 3, 3, 3};
};

TEST_P(BasketDependenceTest, RatioByHand) {
  BasketDependence d;
  d.counts = test::sparse({{0, 6}, {6, 0}});
  d.frequency = {4.0f, 1.0f};  // 4 expected baskets
  d.category = {0, 1};
  d.n_categories = 2;
  d.prior = {1.0f, 2.0f, 2.0f, 1.0f};
  d.prior_strength = 3.0f;
  EXPECT_DOUBLE_EQ(d.ratio(0, 1, 0.0), (6 + 3 * 2.0) / (4 + 3));
  d.prior_cosine = 2.0f;
  EXPECT_DOUBLE_EQ(d.ratio(1, 0, 0.5), (6 + 3 * 2.0 * std::exp(1.0)) / (4 + 3));
  d.user_exponent = 0.5f;
  d.user_offset = 1.0f;
  EXPECT_NEAR(d.user_rho(0, 1, 0.0), std::exp(1.0) * std::sqrt(12.0 / 7), 1e-12);
}

TEST_P(BasketDependenceTest, CategoriesByHand) {
  // Four baskets: items 0 and 1 (categories 0 and 1) share two, each is in two.
  const PairCounts counts = count_pairs(context(), test::pattern({{0, 1}, {0, 1}, {2}, {2}}, 3), 1);
  const BasketDependence d = fit_dependence(counts, std::vector<int32_t>{0, 1, 1}, {}, 0);
  // Categories 0 and 1: two common baskets, of (2 / 2) (2 / 2 + 2 / 2) = 2 expected.
  EXPECT_NEAR(d.prior[1], (2 + kPriorBaskets) / (2 + kPriorBaskets), 1e-6);
  // Category 1 with itself: items 1 and 2 never meet, both ways 2 expected; an item makes no pair with itself.
  EXPECT_NEAR(d.prior[3], kPriorBaskets / (2 + kPriorBaskets), 1e-6);
  EXPECT_EQ(d.frequency, (std::vector<float>{1.0f, 1.0f, 1.0f}));
}

TEST_P(BasketDependenceTest, PlantedPairsHoldInOtherBaskets) {
  const HostCsr first = test::pattern(planted(31), 12), later = test::pattern(planted(32), 12);
  const BasketDependence d = fit_dependence(count_pairs(context(), first, 1), category_, {}, 0);
  EXPECT_GT(d.ratio(0, 1, 0.0), 3.0);
  EXPECT_LT(d.ratio(4, 5, 0.0), 0.3);
  EXPECT_NEAR(d.ratio(7, 9, 0.0), 1.0, 0.3);
  const DependenceGain gain = judge_dependence(context(), d, later, {}, 0);
  EXPECT_EQ(gain.n_pairs, 66);
  EXPECT_GT(gain.ratio, gain.prior);
  EXPECT_GT(gain.ratio, 1.0);
  // Without dependence in the later baskets the counts would say less than nothing.
  std::vector<std::vector<int32_t>> independent;
  const std::vector<float> draws = test::random_floats(2000 * 12, 33, 0.0f, 1.0f);
  for (size_t b = 0; b < 2000; ++b) {
    independent.emplace_back();
    for (int32_t i = 0; i < 12; ++i) {
      if (draws[b * 12 + static_cast<size_t>(i)] < 0.2f) independent.back().push_back(i);
    }
  }
  EXPECT_LT(judge_dependence(context(), d, test::pattern(independent, 12), {}, 0).ratio, 0.0);
}

TEST_P(BasketDependenceTest, VectorsSpeakWhereNothingIsCounted) {
  // Items of one taste have one vector and come together.
  const HostCsr baskets = test::pattern(planted(31), 12);
  std::vector<float> vectors(24, 0.0f);
  for (size_t i = 0; i < 12; ++i) vectors[2 * i + (i < 4 ? 0 : 1)] = 1.0f;
  const BasketDependence d =
      fit_dependence(count_pairs(context(), baskets, 1), std::vector<int32_t>(12, 0), vectors, 2);
  EXPECT_GT(d.prior_cosine, 0.0f);
  EXPECT_EQ(fit_dependence(count_pairs(context(), baskets, 1), category_, {}, 0).prior_cosine, 0.0f);
}

TEST_P(BasketDependenceTest, OneUsersPairsAreLessThanEveryones) {
  // Users of two tastes buy each item of their taste independently. The counts of all show a dependence that no user
  // has.
  const std::vector<float> draws = test::random_floats(40 * 52 * 6, 41, 0.0f, 1.0f);
  BasketHistory history;
  history.n_users = 40;
  std::vector<std::vector<int32_t>> baskets;
  for (int32_t week = 0; week < 52; ++week) {
    for (int32_t u = 0; u < 40; ++u) {
      std::vector<int32_t> basket;
      for (int32_t i = 0; i < 6; ++i) {
        const float rate = (u < 20) == (i < 3) ? 0.5f : 0.05f;
        if (draws[static_cast<size_t>((week * 40 + u) * 6 + i)] < rate) basket.push_back(i);
      }
      baskets.push_back(basket);
      history.user.push_back(u);
      history.time.push_back(int64_t{7 * 86400} * week);
    }
  }
  history.items = test::pattern(baskets, 6);
  const std::vector<int32_t> category(6, 0);
  const HabitModel habits = fit_habits(context(), history, category, {});
  ASSERT_TRUE(habits.fitted);
  BasketDependence d = fit_dependence(count_pairs(context(), history.items, 1), category, {}, 0);
  EXPECT_GT(d.ratio(0, 1, 0.0), 1.4);
  fit_user_dependence(context(), history, habits, {}, {}, 0, d);
  EXPECT_NEAR(d.user_rho(0, 1, 0.0), 1.0, 0.15);
}

SHEAF_ON_EVERY_BACKEND(BasketDependenceTest);

}  // namespace
}  // namespace sheaf
