#include <gtest/gtest.h>

#include <cmath>

#include "engine/bundles/increment.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

UsedResponse response(double own, double own_error, double cross = 0, double cross_error = 0) {
  UsedResponse used;
  used.own = {own, own_error};
  used.cross = {cross, cross_error};
  return used;
}

/// Bread at 3 that costs 2, butter at 5 that costs 3: of 100 buyers 30 take bread, 20 butter, 10 of them both.
BundleDemand bread_and_butter() {
  return {.population = 100,
          .together = 10,
          .holding = {30, 20},
          .holding_together = {10, 10},
          .price = {3, 5},
          .unit_cost = {2, 3}};
}

TEST(BundleIncrement, AgreesWithACaseByHand) {
  // 20 % off, own = -2: 0.8^-2 = 1.5625, so 5.625 more take both. They are among the 30 who take one: 20 bread at 3, 10
  // butter at 5, a mean of 11 / 3. cross = 0.5: a quarter of what they add is taken from other products.
  //   turnover  15.625 * 8 * 0.8                        = 100
  //   before    10 * 8 + 5.625 * 11 / 3                 = 100.625
  //   added     5.625 * (8 - 11 / 3) = 24.375, a quarter = 6.09375
  //   revenue   100 - 100.625 - 6.09375                 = -6.71875
  //   costs     15.625 * 5 - 10 * 5 - 5.625 * 7 / 3     = 15
  //   margin    -6.71875 - 15 + 6.09375 * 5 / 8         = -17.91015625
  const BundleIncrement r = bundle_increment(bread_and_butter(), 0.2, response(-2, 0, 0.5));
  EXPECT_NEAR(r.turnover.expected, 100.0, 1e-12);
  EXPECT_NEAR(r.revenue.expected, -6.71875, 1e-12);
  EXPECT_NEAR(r.margin.expected, -17.91015625, 1e-12);
  // A response without an error leaves no interval.
  EXPECT_EQ(r.revenue.low, r.revenue.expected);
  EXPECT_EQ(r.revenue.high, r.revenue.expected);
}

TEST(BundleIncrement, TheIntervalIsThatOfTheResponse) {
  const BundleDemand demand = bread_and_butter();
  const BundleIncrement r = bundle_increment(demand, 0.2, response(-2, 0.5));
  EXPECT_EQ(r.revenue.low, bundle_increment(demand, 0.2, response(-1, 0)).revenue.expected);
  EXPECT_EQ(r.revenue.high, bundle_increment(demand, 0.2, response(-3, 0)).revenue.expected);
  EXPECT_LT(r.margin.low, r.margin.expected);
  EXPECT_LT(r.margin.expected, r.margin.high);
  // All that is added up to own = -1 is diverted: the worst is in the middle of the interval.
  const BundleIncrement bent = bundle_increment(demand, 0.2, response(-1, 0.5, 1.0));
  EXPECT_EQ(bent.revenue.low, bundle_increment(demand, 0.2, response(-1, 0, 1.0)).revenue.expected);
  EXPECT_EQ(bent.revenue.high, bundle_increment(demand, 0.2, response(-2, 0, 1.0)).revenue.expected);
  for (const double own : {0.0, -0.3, -0.77, -1.0, -1.4, -2.0}) {
    const double there = bundle_increment(demand, 0.2, response(own, 0, 1.0)).margin.expected;
    EXPECT_LE(bent.margin.low, there) << own;
    EXPECT_GE(bent.margin.high, there) << own;
  }
  // Less of what is added is taken from others, more is left.
  const BundleIncrement crossed = bundle_increment(demand, 0.2, response(-2, 0.5, 0.5, 0.2));
  EXPECT_EQ(crossed.revenue.low, bundle_increment(demand, 0.2, response(-1, 0, 0.9)).revenue.expected);
  EXPECT_EQ(crossed.revenue.high, bundle_increment(demand, 0.2, response(-3, 0, 0.1)).revenue.expected);
}

TEST(BundleIncrement, WithoutAResponseTheDiscountIsLost) {
  // Ten who take both anyway pay 8 * 0.9.
  for (const double own : {0.0, 1.5}) {
    const BundleIncrement r = bundle_increment(bread_and_butter(), 0.1, response(own, 0, 0.5));
    EXPECT_NEAR(r.turnover.expected, 72, 1e-12);
    EXPECT_NEAR(r.revenue.expected, -8, 1e-12);
    EXPECT_NEAR(r.margin.expected, -8, 1e-12);
  }
  // Where the response is not told from nothing, the interval spans that loss.
  const BundleIncrement unsure = bundle_increment(bread_and_butter(), 0.1, response(-2, 1.2));
  EXPECT_NEAR(unsure.margin.low, -8, 1e-12);
}

TEST(BundleIncrement, NoDiscountAddsNothing) {
  const BundleIncrement r = bundle_increment(bread_and_butter(), 0, response(-2.3, 0.7, 0.4, 0.2));
  EXPECT_EQ(r.turnover.expected, 80);
  for (const Interval& i : {r.revenue, r.margin}) {
    EXPECT_EQ(i.expected, 0);
    EXPECT_EQ(i.low, 0);
    EXPECT_EQ(i.high, 0);
  }
}

TEST(BundleIncrement, CheaperGoodsAddMoreMarginAndAStrongResponsePays) {
  BundleDemand demand = bread_and_butter();
  double before = -INFINITY;
  for (const double share : {1.0, 0.8, 0.5, 0.2, 0.0}) {
    demand.unit_cost = {3 * share, 5 * share};
    const BundleIncrement r = bundle_increment(demand, 0.2, response(-4, 0, 1.0));
    EXPECT_GT(r.margin.expected, before);
    EXPECT_NEAR(r.revenue.expected, bundle_increment(bread_and_butter(), 0.2, response(-4, 0, 1.0)).revenue.expected,
                1e-12);
    before = r.margin.expected;
  }
  EXPECT_NEAR(before, bundle_increment(demand, 0.2, response(-4, 0, 1.0)).revenue.expected, 1e-12);  // costs of 0
  EXPECT_GT(bundle_increment(demand, 0.2, response(-6, 0)).margin.expected, 0);
}

TEST(BundleIncrement, NobodyTwice) {
  // More than take one: the rest have nothing of it yet, and no more than there are.
  BundleDemand demand = bread_and_butter();
  demand.population = 35;
  demand.holding = {12, 11};  // 3 take one of them: 2 bread, 1 butter
  const BundleIncrement r = bundle_increment(demand, 0.5, response(-10, 0));
  EXPECT_NEAR(r.turnover.expected, 35 * 8 * 0.5, 1e-12);
  EXPECT_NEAR(r.revenue.expected, 35 * 4.0 - 10 * 8 - (2 * 3 + 1 * 5), 1e-12);
  // Given away: all come, who would pay nothing.
  const BundleIncrement gift = bundle_increment(demand, 1.0, response(-2, 0));
  EXPECT_NEAR(gift.revenue.expected, -(10 * 8 + 11), 1e-12);
  // Nobody takes two, or there is nobody.
  demand.together = 0;
  demand.holding_together = {0, 0};
  EXPECT_EQ(bundle_increment(demand, 0.2, response(-2, 0.5, 0.3, 0.1)).revenue.high, 0);
  EXPECT_EQ(bundle_increment({}, 0.2, response(-2, 0.5)).margin.low, 0);
}

TEST(ExpectedDemand, AgreesWithACaseByHand) {
  // Independent: (0.5, 0.4) has both at 0.2; (0.5, 1, 1) stands for a sure pair.
  const BundleDemand two = expected_demand(std::vector<double>{0.5, 0.4, 1.0, 0.0}, {3, 5}, {2, 3});
  EXPECT_EQ(two.population, 2);
  EXPECT_NEAR(two.together, 0.2, 1e-15);
  EXPECT_NEAR(two.holding[0], 1.5, 1e-15);
  EXPECT_NEAR(two.holding[1], 0.4, 1e-15);
  EXPECT_NEAR(two.holding_together[0], 0.2, 1e-15);
  EXPECT_NEAR(two.holding_together[1], 0.2, 1e-15);
  const BundleDemand three = expected_demand(std::vector<double>{0.5, 1.0, 1.0}, {1, 1, 1}, {0, 0, 0});
  EXPECT_NEAR(three.together, 1.0, 1e-15);
  EXPECT_NEAR(three.holding_together[0], 0.5, 1e-15);
  EXPECT_NEAR(three.holding_together[1], 1.0, 1e-15);
  const BundleDemand odd = expected_demand(std::vector<double>{NAN, 2.0}, {1, 1}, {0, 0});
  EXPECT_EQ(odd.holding[0], 0);
  EXPECT_EQ(odd.holding[1], 1);
  EXPECT_EQ(odd.together, 0);
}

TEST(BundleIncrement, SizesAndSharesAreChecked) {
  EXPECT_THROW(expected_demand(std::vector<double>{0.5}, {1, 1}, {0, 0}), UsageError);
  EXPECT_THROW(expected_demand(std::vector<double>{0.5, 0.5}, {1, 1}, {0}), UsageError);
  EXPECT_THROW(expected_demand({}, {}, {}), UsageError);
  BundleDemand demand = bread_and_butter();
  for (const double discount : {-0.1, 1.1, static_cast<double>(NAN)}) {
    EXPECT_THROW(bundle_increment(demand, discount, response(-2, 0)), UsageError);
  }
  demand.holding.pop_back();
  EXPECT_THROW(bundle_increment(demand, 0.1, response(-2, 0)), UsageError);
}

}  // namespace
}  // namespace sheaf
