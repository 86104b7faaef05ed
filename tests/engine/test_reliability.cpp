#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/evaluate/reliability.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

TEST(Reliability, AddsUpTrialsByTheSizeOfTheChance) {
  // Two chances of (0.05, 0.1], made 10 and 30 times; one on an end, which belongs to the bin below it; one of 0.
  const std::vector<double> p{0.06, 0.10, 0.2, 0.0}, hits{1, 2, 3, 0}, trials{10, 30, 10, 5};
  const std::vector<ReliabilityBin> bins = reliability(p, hits, trials);
  ASSERT_EQ(bins.size(), 11u);
  EXPECT_EQ(bins[0].n, 5);
  EXPECT_EQ(bins[0].foreseen, 0.0);
  EXPECT_EQ(bins[4].n, 40);
  EXPECT_DOUBLE_EQ(bins[4].low, 0.05);
  EXPECT_DOUBLE_EQ(bins[4].high, 0.1);
  EXPECT_DOUBLE_EQ(bins[4].foreseen, (0.06 * 10 + 0.10 * 30) / 40);
  EXPECT_DOUBLE_EQ(bins[4].found, 3.0 / 40);
  EXPECT_EQ(bins[5].n, 10);
  EXPECT_DOUBLE_EQ(bins[5].found, 0.3);
  EXPECT_EQ(bins[10].n, 0);
  EXPECT_TRUE(std::isnan(bins[10].found));
  // |0.09 - 0.075| of 40 trials, |0.2 - 0.3| of 10, 0 of 5.
  EXPECT_NEAR(calibration_error(bins), (40 * 0.015 + 10 * 0.1) / 55, 1e-12);
}

TEST(Reliability, RefusesWhatIsNoChance) {
  const std::vector<double> one{1.0}, none;
  for (const double p : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(reliability(std::vector<double>{p}, one, one), UsageError);
  }
  EXPECT_THROW(reliability(one, none, one), UsageError);
  EXPECT_TRUE(std::isnan(calibration_error(reliability(none, none, none))));
}

}  // namespace
}  // namespace sheaf
