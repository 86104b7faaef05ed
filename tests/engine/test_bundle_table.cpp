#include "engine/evaluate/bundle_table.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/core/philox.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

using C = BundleColumn;

/// Three users, eight items with prices 1 .. 8, categories 0 0 1 1 2 2 3 3. Users 0 and 1 have held-out baskets, user 2
/// none.
class BundleTableTest : public ::testing::Test {
 protected:
  BundleTableTest() {
    for (size_t i = 0; i < 8; ++i) {
      catalog_.price[i] = static_cast<float>(i + 1);
      catalog_.category[i] = static_cast<int32_t>(i / 2);
    }
    world_.catalog = &catalog_;
    world_.history = &history_;
    world_.before = {&before_, &before_user_};
    world_.held_out = {&held_out_, &held_out_user_};
    world_.after = {&after_, &after_user_};
    world_.substitutes = &substitutes_;
  }

  Catalog catalog_ = test::plain_catalog(8);
  HostCsr history_ = test::pattern({{0, 1, 2}, {2, 4}, {7}}, 8);
  HostCsr before_ = test::pattern({{0, 1, 2}, {0, 1}, {2, 4}, {4, 7}}, 8);
  std::vector<int32_t> before_user_{0, 0, 1, 2};
  HostCsr held_out_ = test::pattern({{0, 1, 2, 5}, {0, 7}, {3}, {2, 4, 6}}, 8);
  std::vector<int32_t> held_out_user_{0, 0, 0, 1};
  HostCsr after_ = test::pattern({{0, 1, 2, 5}, {0, 7}, {3}, {2, 4, 6}, {0, 1}}, 8);
  std::vector<int32_t> after_user_{0, 0, 0, 1, 2};
  HostCsr substitutes_ = test::pattern({{1}, {0}, {}, {}, {}, {}, {}, {}}, 8);  // items 0 and 1
  BundleWorld world_;
};

TEST_F(BundleTableTest, UsersByHand) {
  const NamedBundles list{"by hand", {{0, 1, 2, 5}, {2, 4, 7}, {0, 7}}, {0, 1, 2}};
  const BundleRow row = measure_bundles({list}, world_)[0];
  EXPECT_EQ(row.name, "by hand");
  EXPECT_EQ(row.n_bundles, 3);
  EXPECT_EQ(row.n_baskets, 4);
  EXPECT_DOUBLE_EQ(row.mean_size, 3.0);
  EXPECT_DOUBLE_EQ(row.mean_price, (12.0 + 16 + 9) / 3);
  // Of the baskets user 0's hold 4, 1 and 0 items of the bundle, user 1's holds 2 of 3.
  EXPECT_DOUBLE_EQ(row.at(C::at_least_one).value, 3.0 / 4);
  EXPECT_DOUBLE_EQ(row.at(C::at_least_two).value, 2.0 / 4);
  EXPECT_DOUBLE_EQ(row.at(C::at_least_three).value, 1.0 / 4);
  EXPECT_DOUBLE_EQ(row.at(C::all_items).value, 1.0 / 4);
  EXPECT_DOUBLE_EQ(row.at(C::revenue).value, (1 + 2 + 3 + 6 + 3 + 5) / 4.0);
  // Before, 4 baskets: n = 2, 2, 2, -, 2, 0, -, 1 of items 0 .. 7; pairs 01: 2, 02: 1, 12: 1, 24: 1, 47: 1. Expected of
  // 4: 01, 02, 12: 1 each, with 5: 0; 24: 1, 27 and 47: 0.5 each; 07: 0.5.
  EXPECT_DOUBLE_EQ(row.at(C::lift_before).value, (4.0 + 2 + 0) / (3 + 2 + 0.5));
  // After, 5 baskets: n = 3, 2, 2, 1, 1, 1, 1, 1. Pairs of the first bundle: 01: 2, 02, 05, 12, 15, 25: 1 each; of the
  // second: 24: 1; 07: 1.
  const double after = (7.0 + 1 + 1) / ((6 + 6 + 3 + 4 + 2 + 2 + 2 + 2 + 1 + 3) / 5.0);
  EXPECT_DOUBLE_EQ(row.at(C::lift_after).value, after);
  EXPECT_DOUBLE_EQ(row.at(C::lift_kept).value, after * 5.5 / 6);
  EXPECT_DOUBLE_EQ(row.at(C::same_category).value, 1.0 / 3);  // items 0 and 1
  EXPECT_DOUBLE_EQ(row.at(C::substitutes).value, 1.0 / 3);
  EXPECT_DOUBLE_EQ(row.at(C::new_items).value, (1.0 + 1 + 1) / 9);  // item 5 of user 0, 7 of user 1, 0 of user 2
  EXPECT_DOUBLE_EQ(row.at(C::discovered).value, 1.0 / 2);           // user 0 buys item 5; user 2 has no later basket
  EXPECT_DOUBLE_EQ(row.at(C::coverage).value, 6.0 / 8);
  EXPECT_TRUE(std::isnan(row.at(C::coverage).error));
}

TEST_F(BundleTableTest, ACatalogByHand) {
  const NamedBundles list{"catalog", {{0, 1, 7}, {2, 4}}, {}};
  const BundleRow row = measure_bundles({list}, world_)[0];
  EXPECT_EQ(row.n_bundles, 2);
  EXPECT_EQ(row.n_baskets, 4);
  // The first bundle meets 2, 2, 0, 0 items of the baskets, the second 1, 0, 0, 2.
  EXPECT_DOUBLE_EQ(row.at(C::at_least_one).value, 4.0 / 4);
  EXPECT_DOUBLE_EQ(row.at(C::at_least_two).value, 3.0 / 4);
  EXPECT_DOUBLE_EQ(row.at(C::at_least_three).value, 0);
  EXPECT_DOUBLE_EQ(row.at(C::all_items).value, 1.0 / 4);
  EXPECT_DOUBLE_EQ(row.at(C::revenue).value, (3.0 + 9 + 8) / 4);
  EXPECT_DOUBLE_EQ(row.at(C::lift_before).value, (2.0 + 1) / (1 + 0.5 + 0.5 + 1));
  EXPECT_TRUE(std::isnan(row.at(C::lift_before).error));
  EXPECT_DOUBLE_EQ(row.at(C::lift_after).value, (2.0 + 1 + 0 + 1) / ((6 + 3 + 2 + 2) / 5.0));
  EXPECT_DOUBLE_EQ(row.at(C::same_category).value, 1.0 / 2);
  // Not bought before: items 7 and 4 by user 0; 0, 1 and 7 by user 1; all but 7 by user 2. Bought later: item 7 by user
  // 0.
  EXPECT_DOUBLE_EQ(row.at(C::new_items).value, (2.0 + 3 + 4) / 15);
  EXPECT_DOUBLE_EQ(row.at(C::discovered).value, 1.0 / 5);
  EXPECT_DOUBLE_EQ(row.at(C::coverage).value, 5.0 / 8);
}

TEST_F(BundleTableTest, EmptyBundlesCountNowhere) {
  const BundleRow with = measure_bundles({{"", {{0, 1}, {}, {0, 7}}, {0, 1, 2}}}, world_)[0];
  const BundleRow without = measure_bundles({{"", {{0, 1}, {0, 7}}, {0, 2}}}, world_)[0];
  EXPECT_EQ(with.n_bundles, 2);
  EXPECT_EQ(with.n_baskets, 3);
  for (size_t c = 0; c < kBundleColumns; ++c) {
    if (std::isnan(without.columns[c].value)) {
      EXPECT_TRUE(std::isnan(with.columns[c].value)) << c;
    } else {
      EXPECT_EQ(with.columns[c].value, without.columns[c].value) << c;
    }
  }
}

TEST_F(BundleTableTest, WhatCannotBeAveragedIsNoNumber) {
  world_.substitutes = nullptr;
  const BundleRow none = measure_bundles({{"", {}, {}}}, world_)[0];
  for (size_t c = 0; c + 1 < kBundleColumns; ++c) EXPECT_TRUE(std::isnan(none.columns[c].value)) << c;
  EXPECT_EQ(none.at(C::coverage).value, 0);
  const HostCsr nothing = test::pattern({}, 8);
  const std::vector<int32_t> nobody;
  world_.held_out = world_.after = {&nothing, &nobody};
  const BundleRow row = measure_bundles({{"", {{0, 1}}, {0}}}, world_)[0];
  for (const C c : {C::at_least_one, C::revenue, C::lift_after, C::lift_kept, C::substitutes, C::discovered}) {
    EXPECT_TRUE(std::isnan(row.at(c).value)) << to_string(c);
    EXPECT_TRUE(std::isnan(row.at(c).error)) << to_string(c);
  }
  EXPECT_DOUBLE_EQ(row.at(C::lift_before).value, 2);
  EXPECT_TRUE(measure_bundles({}, world_).empty());
}

TEST_F(BundleTableTest, DifferencesAreOfTheFirstListAndPaired) {
  const std::vector<BundleRow> rows =
      measure_bundles({{"a", {{0, 1, 2, 5}, {2, 4, 7}}, {0, 1}}, {"b", {{0, 7}, {2, 4, 7}}, {0, 1}}}, world_);
  EXPECT_DOUBLE_EQ(rows[1].lead(C::at_least_one).value, 0);  // both 3 of 4
  EXPECT_DOUBLE_EQ(rows[1].lead(C::at_least_one).error, 0);  // ... of the same users in every resample
  EXPECT_DOUBLE_EQ(rows[1].lead(C::revenue).value, (20.0 - 17) / 4);
  EXPECT_GT(rows[1].lead(C::revenue).error, 0);
  EXPECT_EQ(rows[0].lead(C::revenue).error, 0);
}

TEST(BundleTable, TheErrorOfAMeanIsTheKnownOne) {
  // 400 users have a basket each, and a fourth of them buys both items. The error of the share p over n users is sqrt(p
  // (1 - p) / n). The error of a bootstrap of 2000 resamples differs from it by 1 / sqrt(2 * 2000) = 1.6 %, and by a
  // half of 1 / 400 for the ratio's bias.
  constexpr int32_t kUsers = 400;
  const Catalog catalog = test::plain_catalog(2);
  std::vector<std::vector<int32_t>> rows;
  NamedBundles list;
  for (int32_t u = 0; u < kUsers; ++u) {
    rows.push_back(u % 4 == 0 ? std::vector<int32_t>{0, 1} : std::vector<int32_t>{0});
    list.items.push_back({0, 1});
    list.user.push_back(u);
  }
  const HostCsr baskets = test::pattern(rows, 2);
  const BasketsOf of{&baskets, &list.user};
  const BundleWorld world{&catalog, &baskets, of, of, of, nullptr};
  const BundleRow row = measure_bundles({list}, world, {.resamples = 2000, .seed = 3})[0];
  EXPECT_DOUBLE_EQ(row.at(C::at_least_two).value, 0.25);
  const double known = std::sqrt(0.25 * 0.75 / kUsers);
  EXPECT_NEAR(row.at(C::at_least_two).error, known, 4 * 0.016 * known);
  EXPECT_EQ(row.at(C::at_least_one).error, 0);  // everyone's baskets hold one
  EXPECT_TRUE(std::isnan(measure_bundles({list}, world, {.resamples = 0})[0].at(C::at_least_two).error));
  // The same seed gives the same numbers, another one others.
  EXPECT_EQ(measure_bundles({list}, world, {.resamples = 2000, .seed = 3})[0].at(C::at_least_two).error,
            row.at(C::at_least_two).error);
  EXPECT_NE(measure_bundles({list}, world, {.resamples = 2000, .seed = 4})[0].at(C::at_least_two).error,
            row.at(C::at_least_two).error);
}

TEST_F(BundleTableTest, ShareWithTwoIsThatOfTheTable) {
  for (const NamedBundles& list :
       {NamedBundles{"", {{0, 1, 2, 5}, {2, 4, 7}, {}}, {0, 1, 2}}, NamedBundles{"", {{0, 1, 7}, {2, 4}}, {}}}) {
    EXPECT_EQ(share_with_two(list, world_.held_out), measure_bundles({list}, world_)[0].at(C::at_least_two).value);
  }
}

}  // namespace
}  // namespace sheaf
