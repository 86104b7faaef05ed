#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/demand/price_response.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

using Source = UsedResponse::Source;

/// The rate of a Poisson distribution whose mean, given that it is not 0, is `mean` > 1.
double rate_of(double mean) {
  double low = 1e-9, high = mean;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (middle / (1 - std::exp(-middle)) < mean ? low : high) = middle;
  }
  return low;
}

/// On the first day of the week.
void add(std::vector<PriceLine>& lines, int count, int32_t item, int32_t week, double paid, double full) {
  for (int l = 0; l < count; ++l) lines.push_back({item, 7 * week, paid, full});
}

/// The baskets of weeks, on their first day.
std::vector<double> days(const std::vector<double>& weeks) {
  std::vector<double> baskets;
  for (const double w : weeks) {
    baskets.push_back(w);
    baskets.insert(baskets.end(), 6, 0.0);
  }
  return baskets;
}

/// Purchases of a made shop. Each week an item is discounted with a chance of 0.4, by 10 to 40 %.
struct Shop {
  int32_t n_items = 600, n_weeks = 30, per_category = 6;
  double own = 0, cross = 0, rate = 1.0;
  bool discounts = true;
  int32_t first_day = 0;  // prices change on this day and every seventh after it
  uint64_t seed = 1;

  std::vector<PriceLine> lines = {};
  std::vector<int32_t> category = {};
  std::vector<double> baskets = {};  // [first_day + 7 n_weeks]

  PriceResponse estimate() {
    std::mt19937_64 random(seed);
    const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
    const auto exposure = [](int32_t w) { return 100.0 + 10.0 * (w % 5); };
    baskets.assign(static_cast<size_t>(first_day), 0.0);
    for (int32_t w = 0; w < n_weeks; ++w) baskets.insert(baskets.end(), 7, exposure(w) / 7);
    std::vector<double> x;  // [n_items, n_weeks]
    for (int32_t i = 0; i < n_items * n_weeks; ++i) {
      x.push_back(discounts && uniform() < 0.4 ? std::log(1 - (0.1 + 0.3 * uniform())) : 0.0);
    }
    for (int32_t i = 0; i < n_items; ++i) {
      category.push_back(i / per_category);
      const double level = rate * std::exp(uniform() - 0.5) / 120.0;
      for (int32_t w = 0; w < n_weeks; ++w) {
        double others = 0;
        for (int32_t j = 0; j < per_category; ++j) others += x[at(category.back() * per_category + j, w)];
        others = (others - x[at(i, w)]) / (per_category - 1);
        const double lambda = level * exposure(w) * std::exp(own * x[at(i, w)] + cross * others);
        int count = 0;
        for (double p = uniform(); p > std::exp(-lambda); p *= uniform()) ++count;
        for (int l = 0; l < count; ++l) {
          const int32_t day = first_day + 7 * w + static_cast<int32_t>(7 * uniform());
          lines.push_back({i, day, 2.0 * std::exp(x[at(i, w)]), 2.0});
        }
      }
    }
    return estimate_price_response(lines, category, baskets);
  }
  size_t at(int32_t i, int32_t w) const { return static_cast<size_t>(i * n_weeks + w); }
};

TEST(PriceResponse, AgreesWithACaseByHand) {
  // Two weeks and two unknowns: the means of the truncated distribution are the counts, 2 at the full price and 4 at
  // half of it.
  std::vector<PriceLine> lines = {};
  add(lines, 2, 0, 0, 3.0, 3.0);
  add(lines, 4, 0, 1, 1.5, 3.0);
  const PriceResponseParams few{.min_lines = 1, .min_items = 1};
  PriceResponse r = estimate_price_response(lines, std::vector<int32_t>{0}, days({1, 1}), few);
  ASSERT_EQ(r.own_reason, "");
  EXPECT_NEAR(r.own.value, std::log(rate_of(4) / rate_of(2)) / std::log(0.5), 1e-8);
  EXPECT_NEAR(r.own.value, -1.2988, 1e-4);
  EXPECT_EQ(r.cross_reason, "no categories");
  EXPECT_EQ(r.n_lines, 6);
  EXPECT_EQ(r.n_discounted, 4);
  EXPECT_EQ(r.n_items, 1);
  EXPECT_EQ(r.n_observations, 2);
  // Twice as many baskets in the second week explain a part of it.
  r = estimate_price_response(lines, std::vector<int32_t>{0}, days({1, 2}), few);
  EXPECT_NEAR(r.own.value, std::log(rate_of(4) / rate_of(2) / 2) / std::log(0.5), 1e-8);
}

TEST(PriceResponse, OtherItemsOfTheCategoryAgreeWithACaseByHand) {
  // Item 1 is too rare to be estimated, but its discount counts for item 0: half off in week 2, full price in week 0,
  // not sold in week 1. Its deviations from its mean log(0.5) / 2 are log(2) / 2, 0 and -log(2) / 2. Three weeks and
  // three unknowns. Item 2 has another category.
  std::vector<PriceLine> lines;
  add(lines, 2, 0, 0, 3.0, 3.0);
  add(lines, 4, 0, 1, 1.5, 3.0);
  add(lines, 3, 0, 2, 3.0, 3.0);
  add(lines, 3, 1, 0, 7.0, 7.0);
  add(lines, 3, 1, 2, 3.5, 7.0);
  add(lines, 4, 2, 0, 1.0, 7.0);
  add(lines, 4, 2, 1, 7.0, 7.0);
  const PriceResponse r =
      estimate_price_response(lines, std::vector<int32_t>{0, 0, 1}, days({1, 1, 1}), {.min_lines = 9, .min_items = 1});
  ASSERT_EQ(r.cross_reason, "");
  const double level = (std::log(rate_of(2)) + std::log(rate_of(3))) / 2;
  EXPECT_NEAR(r.own.value, (std::log(rate_of(4)) - level) / std::log(0.5), 1e-8);
  EXPECT_NEAR(r.cross.value, std::log(rate_of(2) / rate_of(3)) / std::log(2), 1e-8);
  EXPECT_EQ(r.n_observations, 3);
}

TEST(PriceResponse, APlantedResponseIsFound) {
  Shop shop{.own = -2.0, .cross = 0.6};
  const PriceResponse r = shop.estimate();
  ASSERT_EQ(r.own_reason, "");
  ASSERT_EQ(r.cross_reason, "");
  EXPECT_NEAR(r.own.value, -2.0, 3 * r.own.error);
  EXPECT_NEAR(r.cross.value, 0.6, 3 * r.cross.error);
  EXPECT_LT(r.own.error, 0.12);
  EXPECT_LT(r.cross.error, 0.30);
  EXPECT_TRUE(r.own.distinguishable());
  EXPECT_GT(r.n_items, 500);
  const UsedResponse used = choose_response(r, NAN, NAN);
  EXPECT_EQ(used.own_source, Source::estimated);
  EXPECT_EQ(used.own.value, r.own.value);
}

TEST(PriceResponse, WeeksBeginWhenPricesChange) {
  Shop shop{.n_items = 300, .own = -2.0, .first_day = 4};
  const PriceResponse r = shop.estimate();
  EXPECT_EQ(r.week_start, 4);
  EXPECT_NEAR(r.own.value, -2.0, 3 * r.own.error);
  // Weeks that mix two prices see a weaker response.
  const PriceResponse mixed = estimate_price_response(shop.lines, shop.category, shop.baskets, {.week_start = 0});
  EXPECT_EQ(mixed.week_start, 0);
  EXPECT_GT(mixed.own.value, r.own.value + 3 * r.own.error);
}

TEST(PriceResponse, RareItemsDoNotMoveItTowardsZero) {
  // Half of the weeks have no sale and so no price; without the condition on y > 0 the estimate is about -1.2 here.
  Shop shop{.n_items = 1500, .own = -2.0, .rate = 0.4, .seed = 2};
  const PriceResponse r = shop.estimate();
  EXPECT_NEAR(r.own.value, -2.0, 3 * r.own.error);
  EXPECT_LT(r.own.error, 0.15);
}

TEST(PriceResponse, NoResponseIsNotToldFromNothing) {
  Shop shop{.own = 0.0};
  const PriceResponse r = shop.estimate();
  ASSERT_EQ(r.own_reason, "");
  EXPECT_FALSE(r.own.distinguishable());
  EXPECT_FALSE(r.cross.distinguishable());
  EXPECT_LT(r.own.error, 0.12);
  // So sure that it is near nothing that the assumption of -2 would be wrong.
  EXPECT_EQ(choose_response(r, NAN, NAN).own_source, Source::estimated);
}

TEST(PriceResponse, ErrorsAreAsLargeAsEstimatesDiffer) {
  double sum = 0, squares = 0, errors = 0;
  constexpr int kShops = 30;
  for (int s = 0; s < kShops; ++s) {
    Shop shop{.n_items = 120, .own = -1.5, .seed = static_cast<uint64_t>(100 + s)};
    const PriceResponse r = shop.estimate();
    sum += r.own.value;
    squares += r.own.value * r.own.value;
    errors += r.own.error;
  }
  const double deviation = std::sqrt((squares - sum * sum / kShops) / (kShops - 1));
  EXPECT_GT(errors / kShops,
            0.5 * deviation);  // chi with 11 degrees of freedom: a factor of 0.5 or 2 is rarer than 1 in 1000
  EXPECT_LT(errors / kShops, 2.0 * deviation);
}

TEST(PriceResponse, DataThatCannotSaySaysSo) {
  Shop shop{.n_items = 50, .discounts = false};
  PriceResponse r = shop.estimate();
  EXPECT_EQ(r.own_reason, "no discounts");
  EXPECT_EQ(r.cross_reason, "no discounts");
  UsedResponse used = choose_response(r, NAN, NAN);
  EXPECT_EQ(used.own_source, Source::assumed);
  EXPECT_EQ(used.own.value, kAssumedOwn);
  EXPECT_EQ(used.own.error, kAssumedOwnError);
  EXPECT_EQ(used.cross.value, kAssumedCross);

  Shop few{.n_items = 12, .own = -2.0};
  r = few.estimate();
  EXPECT_NE(r.own_reason.find("too few price changes: 12 items"), std::string::npos) << r.own_reason;
  r = estimate_price_response({}, std::vector<int32_t>{}, std::vector<double>{});
  EXPECT_EQ(r.own_reason, "no discounts");
  // All items discounted alike, always: no price changes.
  std::vector<PriceLine> lines = {};
  for (int32_t i = 0; i < 40; ++i) add(lines, 20, i, i % 3, 1.0, 2.0), add(lines, 10, i, 4, 1.0, 2.0);
  r = estimate_price_response(lines, std::vector<int32_t>(40, 0), std::vector<double>(35, 1.0));
  EXPECT_NE(r.own_reason.find("too few price changes: 0 items"), std::string::npos) << r.own_reason;
}

TEST(PriceResponse, AWideEstimateGivesWayToTheAssumptionAGivenOneToNothing) {
  PriceResponse r;
  r.own = {-1.0, 0.8};   // -2.6 .. 0.6: neither told from nothing nor against -2
  r.cross = {0.1, 0.2};  // -0.3 .. 0.5: against 0.7
  UsedResponse used = choose_response(r, NAN, NAN);
  EXPECT_EQ(used.own_source, Source::assumed);
  EXPECT_EQ(used.own.value, kAssumedOwn);
  EXPECT_EQ(used.cross_source, Source::estimated);
  EXPECT_EQ(used.cross.error, 0.2);
  used = choose_response(r, -3.5, 0.0);
  EXPECT_EQ(used.own_source, Source::given);
  EXPECT_EQ(used.own.value, -3.5);
  EXPECT_EQ(used.own.error, 0.0);
  EXPECT_EQ(used.cross.value, 0.0);
  EXPECT_STREQ(to_string(used.own_source), "given");
  // The assumption itself is not told from nothing.
  EXPECT_FALSE((Elasticity{kAssumedOwn, kAssumedOwnError}.distinguishable()));
}

TEST(PriceResponse, LinesWithoutAPriceAreLeftOut) {
  Shop shop{.n_items = 60, .own = -2.0};
  const PriceResponse clean = shop.estimate();
  std::vector<PriceLine> lines = shop.lines;
  for (const double bad : {0.0, -1.0, static_cast<double>(NAN), std::numeric_limits<double>::infinity()}) {
    lines.push_back({3, 2, bad, 2.0});
    lines.push_back({4, 2, 2.0, bad});
  }
  const PriceResponse r = estimate_price_response(lines, shop.category, shop.baskets);
  EXPECT_EQ(r.own.value, clean.own.value);
  EXPECT_EQ(r.own.error, clean.own.error);
  EXPECT_EQ(r.n_lines, clean.n_lines);
  // Above the full price is the full price; almost for nothing counts as a tenth.
  std::vector<PriceLine> odd;
  add(odd, 2, 0, 0, 9.0, 3.0);
  add(odd, 4, 0, 1, 1e-9, 3.0);
  const PriceResponse o =
      estimate_price_response(odd, std::vector<int32_t>{0}, days({1, 1}), {.min_lines = 1, .min_items = 1});
  EXPECT_NEAR(o.own.value, std::log(rate_of(4) / rate_of(2)) / std::log(0.1), 1e-8);
}

TEST(PriceResponse, OrderOfLinesDoesNotMatterAndWrongIdsAreErrors) {
  Shop shop{.n_items = 60, .own = -2.0};
  const PriceResponse r = shop.estimate();
  std::vector<PriceLine> lines = shop.lines;
  std::shuffle(lines.begin(), lines.end(), std::mt19937(5));
  EXPECT_NEAR(estimate_price_response(lines, shop.category, shop.baskets).own.value, r.own.value, 1e-9);
  const auto refuse = [&](PriceLine line, std::vector<double> baskets) {
    lines.push_back(line);
    EXPECT_THROW(estimate_price_response(lines, shop.category, baskets), UsageError);
    lines.pop_back();
  };
  refuse({60, 0, 1, 1}, shop.baskets);
  refuse({-1, 0, 1, 1}, shop.baskets);
  refuse({0, 210, 1, 1}, shop.baskets);
  refuse({0, 0, 1, 1}, std::vector<double>(210, 0.0));
}

}  // namespace
}  // namespace sheaf
