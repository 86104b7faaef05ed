#include <gtest/gtest.h>

#include <cmath>

#include "engine/evaluate/bundle_eval.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

TEST(SummariseBundles, AgreesWithACaseByHand) {
  Catalog catalog = test::plain_catalog(10);
  for (size_t i = 0; i < 10; ++i) catalog.price[i] = static_cast<float>(i + 1);
  const std::vector<Bundle> bundles{
      {0, {0, 1, 2}, {}, 3.0f, 0.0f},     // price 1 + 2 + 3
      {1, {1, 2, 5, 6}, {}, 1.0f, 0.0f},  // 2 + 3 + 6 + 7
      {2, {8, 9}, {}, 9.0f, 1.0f},        // infeasible: counts in nothing but n_bundles
      {4, {0, 6}, {}, 0.5f, 0.0f},        // 1 + 7
  };
  const BundleSummary summary = summarise_bundles(bundles, catalog);
  EXPECT_EQ(summary.n_bundles, 4);
  EXPECT_DOUBLE_EQ(summary.feasible, 3.0 / 4);
  EXPECT_DOUBLE_EQ(summary.mean_value, 4.5 / 3);
  EXPECT_DOUBLE_EQ(summary.mean_size, 9.0 / 3);
  EXPECT_DOUBLE_EQ(summary.mean_price, (6.0 + 18 + 8) / 3);
  EXPECT_DOUBLE_EQ(summary.coverage, 5.0 / 10);               // 0, 1, 2, 5, 6
  EXPECT_DOUBLE_EQ(summary.mean_overlap, (2.0 + 1 + 1) / 3);  // {1, 2}, {0}, {6}
}

TEST(SummariseBundles, WhatCannotBeAveragedIsNoNumber) {
  const Catalog catalog = test::plain_catalog(4);
  const BundleSummary none = summarise_bundles({}, catalog);
  EXPECT_EQ(none.n_bundles, 0);
  EXPECT_EQ(none.coverage, 0);
  for (const double figure : {none.feasible, none.mean_value, none.mean_size, none.mean_price, none.mean_overlap}) {
    EXPECT_TRUE(std::isnan(figure));
  }
  const BundleSummary one = summarise_bundles({{0, {0, 1}, {}, 1.0f, 0.0f}}, catalog);
  EXPECT_DOUBLE_EQ(one.feasible, 1);
  EXPECT_TRUE(std::isnan(one.mean_overlap));
}

}  // namespace
}  // namespace sheaf
