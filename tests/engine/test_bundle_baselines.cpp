#include "engine/evaluate/bundle_baselines.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

using Items = std::vector<int32_t>;
using Lists = std::vector<Items>;
constexpr int64_t kDay = 86400;

/// Eight items at prices 1 .. 8 in categories 0 0 1 1 2 2 3 3; two users and a third who bought nothing.
class BundleBaselinesTest : public test::OpTest {
 protected:
  BundleBaselinesTest() {
    for (size_t i = 0; i < 8; ++i) {
      catalog_.price[i] = static_cast<float>(i + 1);
      catalog_.category[i] = static_cast<int32_t>(i / 2);
    }
    params_.min_size = 2;
    params_.max_size = 3;
    params_.min_categories = 1;
    history_.items = test::pattern({{0, 1, 2}, {0, 1}, {0, 2, 4}, {1, 6}, {3, 4, 6}, {3, 6}, {4, 5}}, 8);
    history_.user = {0, 0, 0, 0, 1, 1, 1};
    history_.time = {0, 10 * kDay, 20 * kDay, 100 * kDay, 0, 50 * kDay, 100 * kDay};
    history_.n_users = 3;
  }
  HostCsr counts() const { return decayed_counts(history_, std::numeric_limits<double>::infinity()); }
  BundleRules rules() const { return {catalog_, params_}; }

  Catalog catalog_ = test::plain_catalog(8);
  SearchParams params_;
  BasketHistory history_;
  const Items users_{0, 1, 2};
};

TEST_P(BundleBaselinesTest, CountsDecayWithTheAgeOfBaskets) {
  const HostCsr plain = counts();
  EXPECT_EQ(plain.n_rows(), 3);
  EXPECT_EQ(plain.values,
            (std::vector<float>{3, 3, 2, 1, 1, 2, 2, 1, 2}));  // items 0 1 2 4 6 of user 0, 3 4 5 6 of user 1
  const HostCsr decayed = decayed_counts(history_, 50);
  EXPECT_FLOAT_EQ(decayed.values[0], static_cast<float>(std::exp(-2.0) + std::exp(-1.8) + std::exp(-1.6)));
  EXPECT_FLOAT_EQ(decayed.values[4], 1.0f);
}

TEST_P(BundleBaselinesTest, OwnMostFrequentThenPopular) {
  // By baskets over all: 0, 1, 4, 6 in three; 2, 3 in two.
  EXPECT_EQ(most_frequent_bundles("", counts(), rules(), users_).items, (Lists{{0, 1, 2}, {3, 4, 6}, {0, 1, 4}}));
  // The newest baskets count most: user 0's fourth, user 1's last; 3 and 6 are alike.
  EXPECT_EQ(most_frequent_bundles("", decayed_counts(history_, 20), rules(), {0, 1}).items,
            (Lists{{0, 1, 6}, {3, 4, 5}}));
  params_.min_categories = 3;
  EXPECT_EQ(most_frequent_bundles("", counts(), rules(), users_).items, (Lists{{0, 2, 4}, {3, 4, 6}, {0, 4, 6}}));
  params_.min_categories = 1;
  params_.budget = 5;
  params_.forbidden = {1};
  EXPECT_EQ(most_frequent_bundles("", counts(), rules(), users_).items, (Lists{{0, 2}, {0, 3}, {0, 2}}));
  params_.must_have = {3};
  EXPECT_EQ(most_frequent_bundles("", counts(), rules(), users_).items, (Lists{{0, 3}, {0, 3}, {0, 3}}));
  params_.budget = 2;
  EXPECT_EQ(most_frequent_bundles("", counts(), rules(), users_).items, (Lists{{}, {}, {}}));
}

TEST_P(BundleBaselinesTest, TheFirstOfAList) {
  const Items lists{7, 6, 5, 4, -1, -1, 0, 1, 2, 3, 4, 5, 3, -1, -1, -1, -1, -1};
  EXPECT_EQ(listed_bundles("", lists, 6, rules(), users_).items, (Lists{{5, 6, 7}, {0, 1, 2}, {}}));
  params_.min_categories = 2;
  EXPECT_EQ(listed_bundles("", lists, 6, rules(), {1, 0}).items, (Lists{{0, 1, 2}, {5, 6, 7}}));
  params_.min_categories = 3;
  EXPECT_EQ(listed_bundles("", lists, 6, rules(), {1}).items, (Lists{{0, 2, 4}}));
}

TEST_P(BundleBaselinesTest, CoveringSetsHoldTwoOfMostBaskets) {
  // User 0: {0, 1, 2} covers three baskets. User 1: {3, 4, 6} two, {3, 5, 6} two, {4, 5, 6} two, {3, 4, 5} two. The
  // best pair 3, 6 covers two already, so the first item that adds nothing joins: 4.
  const auto sets = [&](int64_t size) { return covering_bundles("", history_, rules(), users_, size).items; };
  EXPECT_EQ(sets(3)[0], (Items{0, 1, 2}));
  EXPECT_EQ(sets(3)[1], (Items{3, 4, 6}));
  EXPECT_EQ(sets(3)[2], (Items{0, 1, 4}));  // nothing of the user's own: the popular ones
  EXPECT_EQ(sets(2), (Lists{{0, 1}, {3, 6}, {}}));
  params_.max_size = 4;
  EXPECT_EQ(sets(4)[0], (Items{0, 1, 2, 6}));  // 1 and 6 are in one more
}

TEST_P(BundleBaselinesTest, ExchangesMendAGreedyStart) {
  // The best pair 0, 1 is in three baskets; with 2, three are covered. {2, 3, 4} covers four; exchanging one at a time
  // finds it.
  history_.items = test::pattern({{0, 1}, {0, 1}, {0, 1}, {2, 3}, {2, 3}, {3, 4}, {3, 4}, {2, 4}, {2, 4}}, 8);
  history_.user.assign(9, 0);
  history_.time.assign(9, 0);
  EXPECT_EQ(covering_bundles("", history_, rules(), {0}, 3).items, (Lists{{0, 1, 2}}));  // no single exchange gains
  history_.items = test::pattern({{0, 1}, {0, 1}, {0, 1}, {0, 2}, {0, 2}, {0, 3}, {0, 3}, {2, 3}, {2, 3}}, 8);
  // Pair 0 1 (three baskets), then 2 (two more), then 1 gives way to 3: 0 2, 0 3 and 2 3 are six.
  EXPECT_EQ(covering_bundles("", history_, rules(), {0}, 3).items, (Lists{{0, 2, 3}}));
}

TEST_P(BundleBaselinesTest, TheItemsetThatTheUserKnowsBest) {
  const std::vector<Itemset> sets{{{0, 1}, 5}, {{0, 2}, 9}, {{3, 6}, 1}, {{4, 6}, 2}, {{2, 3, 4, 6}, 9}};
  // User 0: 3 + 3. User 1: {3, 6} and {4, 6} are 4 each, the latter has more support; four items are too many. User 2:
  // none.
  params_.max_size = 2;
  EXPECT_EQ(itemset_bundles("", sets, counts(), rules(), users_).items, (Lists{{0, 1}, {4, 6}, {0, 2}}));
  params_.forbidden = {6};
  EXPECT_EQ(itemset_bundles("", sets, counts(), rules(), {1}).items, (Lists{{0, 2}}));
  params_.max_size = 3;  // a third item is the user's most frequent one
  EXPECT_EQ(itemset_bundles("", sets, counts(), rules(), users_).items, (Lists{{0, 1, 2}, {0, 2, 3}, {0, 2}}));
}

TEST_P(BundleBaselinesTest, OneSetForAll) {
  // The pair 0, 1 is in two baskets; with 4, 6 or 2 three are covered, of which 4 comes first. No exchange finds four.
  EXPECT_EQ(global_bundle("", history_, rules(), users_).items, (Lists{{0, 1, 4}, {0, 1, 4}, {0, 1, 4}}));
}

TEST_P(BundleBaselinesTest, CatalogsOfItemsets) {
  params_.min_size = params_.max_size = 2;
  const PairCounts pairs = count_pairs(context(), history_.items, 1);
  const std::vector<Itemset> sets{{{0, 1}, 2}, {{0, 2}, 2}, {{3, 6}, 2}, {{4, 5}, 1}, {{4, 6}, 1}, {{0, 1, 2}, 1}};
  const auto catalog = [&](ItemsetScore score, int64_t overlap, int64_t count) {
    return itemset_catalog("", sets, pairs, score, rules(), overlap, count).items;
  };
  EXPECT_EQ(catalog(ItemsetScore::support, 1, 9), (Lists{{0, 1}, {0, 2}, {3, 6}, {4, 5}, {4, 6}}));
  EXPECT_EQ(catalog(ItemsetScore::support, 0, 9), (Lists{{0, 1}, {3, 6}, {4, 5}}));
  EXPECT_EQ(catalog(ItemsetScore::support_price, 0, 2), (Lists{{3, 6}, {4, 5}}));  // 22, 12 (4 and 6), 11
  // Leverage times 49: 01: 14 - 9, 02: 14 - 6, 36: 14 - 6, 45: 7 - 3, 46: 7 - 9.
  EXPECT_EQ(catalog(ItemsetScore::leverage, 0, 9), (Lists{{0, 2}, {3, 6}, {4, 5}}));
}

TEST_P(BundleBaselinesTest, SmallerItemsetsFollowLargerOnes) {
  const std::vector<Itemset> sets{{{0, 1}, 2}, {{3, 6}, 2}, {{0, 1, 2}, 1}};
  const PairCounts pairs = count_pairs(context(), history_.items, 1);
  EXPECT_EQ(itemset_catalog("", sets, pairs, ItemsetScore::support, rules(), 1, 9).items, (Lists{{0, 1, 2}, {3, 6}}));
}

TEST_P(BundleBaselinesTest, ACatalogOfCoveringSets) {
  params_.min_size = 2;
  params_.max_size = 2;
  const Lists two = covering_catalog("", history_, rules(), 0, 2).items;
  EXPECT_EQ(two, (Lists{{0, 1}, {3, 6}}));  // 0 1 and 0 2 and 3 6 are in two baskets
  EXPECT_EQ(covering_catalog("", history_, rules(), 1, 3).items, (Lists{{0, 1}, {0, 2}, {3, 6}}));
  EXPECT_EQ(covering_catalog("", history_, rules(), 0, 99).items.size(), 4u);  // eight items
}

TEST_P(BundleBaselinesTest, ABundleMayNeedOneOfSomeItems) {
  const BundleRules needs(catalog_, params_, {5, 7});
  EXPECT_TRUE(needs.fits({0, 5}));
  EXPECT_FALSE(needs.fits({0, 1}));
  EXPECT_EQ(needs.fill({0, 1, 2, 7}), (Items{0, 1, 7}));  // the last place is kept for it
  EXPECT_EQ(needs.fill({0, 1, 2}), Items{});
  // 5 is in one basket, with 4; what else joins adds nothing: 0 comes first among the popular ones.
  const Lists catalog = covering_catalog("", history_, needs, 0, 1, 4).items;
  ASSERT_EQ(catalog.size(), 1u);
  EXPECT_TRUE(needs.fits(catalog[0]));
}

TEST_P(BundleBaselinesTest, HistoriesJoin) {
  const BasketHistory more{test::pattern({{7}, {0, 7}}, 8), {2, 0}, {5, 6}, 3};
  const BasketHistory all = joined(history_, more);
  EXPECT_EQ(all.items.n_rows(), 9);
  EXPECT_EQ(Items(all.items.row(8).begin(), all.items.row(8).end()), (Items{0, 7}));
  EXPECT_EQ(all.user.back(), 0);
  EXPECT_EQ(all.time.back(), 6);
}

SHEAF_ON_EVERY_BACKEND(BundleBaselinesTest);

}  // namespace
}  // namespace sheaf
