#include <gtest/gtest.h>

#include <cmath>

#include "engine/evaluate/bundle_eval.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

TEST(EvaluateUserBundles, AgreesWithACaseByHand) {
  Catalog catalog = test::plain_catalog(10);
  for (size_t i = 0; i < 10; ++i) catalog.price[i] = static_cast<float>(i + 1);
  const std::vector<Bundle> bundles{
      {0, {0, 1, 2}, {}, 3.0f, 0.0f},     // price 1 + 2 + 3
      {1, {1, 2, 5, 6}, {}, 1.0f, 0.0f},  // 2 + 3 + 6 + 7
      {2, {8, 9}, {}, 9.0f, 1.0f},        // infeasible: counts in nothing but n_bundles
      {4, {0, 6}, {}, 0.5f, 0.0f},        // 1 + 7
  };
  const HostCsr baskets = test::pattern({{0, 1, 7},     // user 0: two of the bundle
                                         {2, 3},        // user 0: one
                                         {8, 9},        // user 2 has no feasible bundle
                                         {3, 4},        // user 1: none
                                         {0, 1, 2, 3},  // user 3 has no bundle
                                         {0, 6},        // user 4: two
                                         {}},           // user 4: nothing
                                        10);
  const BundleSummary summary = evaluate_user_bundles(bundles, catalog, baskets, {0, 0, 2, 1, 3, 4, 4});
  EXPECT_EQ(summary.n_bundles, 4);
  EXPECT_DOUBLE_EQ(summary.feasible, 3.0 / 4);
  EXPECT_DOUBLE_EQ(summary.mean_value, 4.5 / 3);
  EXPECT_DOUBLE_EQ(summary.mean_size, 9.0 / 3);
  EXPECT_DOUBLE_EQ(summary.mean_price, (6.0 + 18 + 8) / 3);
  EXPECT_DOUBLE_EQ(summary.coverage, 5.0 / 10);               // 0, 1, 2, 5, 6
  EXPECT_DOUBLE_EQ(summary.mean_overlap, (2.0 + 1 + 1) / 3);  // {1, 2}, {0}, {6}
  EXPECT_EQ(summary.n_baskets, 5);
  EXPECT_DOUBLE_EQ(summary.baskets_hit, 2.0 / 5);
  EXPECT_DOUBLE_EQ(summary.baskets_touched, 3.0 / 5);
}

TEST(EvaluateUserBundles, WhatCannotBeAveragedIsNoNumber) {
  const Catalog catalog = test::plain_catalog(4);
  const BundleSummary none = evaluate_user_bundles({}, catalog, test::pattern({{0, 1}}, 4), {0});
  EXPECT_EQ(none.n_bundles, 0);
  EXPECT_EQ(none.n_baskets, 0);
  EXPECT_EQ(none.coverage, 0);
  for (const double figure : {none.feasible, none.mean_value, none.mean_size, none.mean_price, none.mean_overlap,
                              none.baskets_hit, none.baskets_touched}) {
    EXPECT_TRUE(std::isnan(figure));
  }
  const BundleSummary one = evaluate_user_bundles({{0, {0, 1}, {}, 1.0f, 0.0f}}, catalog, test::pattern({}, 4), {});
  EXPECT_DOUBLE_EQ(one.feasible, 1);
  EXPECT_TRUE(std::isnan(one.mean_overlap));
  EXPECT_TRUE(std::isnan(one.baskets_hit));
}

}  // namespace
}  // namespace sheaf
