#include "engine/mining/frequent_itemsets.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "kernels/core/error.hpp"
#include "kernels/core/philox.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

using Rows = std::vector<std::vector<int32_t>>;

/// Every subset of the items, counted in every basket.
std::vector<Itemset> brute_force(const Rows& baskets, int32_t n_items, const MiningParams& params) {
  std::vector<Itemset> found;
  for (uint32_t mask = 1; mask < (1u << n_items); ++mask) {
    Itemset set;
    bool allowed = true;
    for (int32_t i = 0; i < n_items; ++i) {
      if ((mask >> i & 1u) == 0) continue;
      set.items.push_back(i);
      allowed &= params.allowed.empty() || params.allowed[static_cast<size_t>(i)] != 0;
    }
    const auto size = std::ssize(set.items);
    if (!allowed || size < params.min_size || size > params.max_size) continue;
    for (const auto& basket : baskets) set.support += std::ranges::includes(basket, set.items) ? 1 : 0;
    if (set.support >= params.min_support) found.push_back(set);
  }
  std::ranges::sort(found, [](const Itemset& a, const Itemset& b) {
    return a.items.size() != b.items.size() ? a.items.size() < b.items.size() : a.items < b.items;
  });
  return found;
}

Rows random_baskets(uint32_t seed, int32_t n_baskets, int32_t n_items) {
  Rows baskets(static_cast<size_t>(n_baskets));
  for (size_t b = 0; b < baskets.size(); ++b) {
    for (int32_t i = 0; i < n_items; ++i) {
      const uint32_t draw = random_u32({seed, Purpose::test, 0}, b, static_cast<uint32_t>(i));
      if (bounded(draw, 10) < 4u + static_cast<uint32_t>(i) % 3) baskets[b].push_back(i);
    }
  }
  return baskets;
}

TEST(FrequentItemsets, ByHand) {
  const HostCsr baskets = test::pattern({{0, 1, 2}, {0, 1}, {0, 2}, {1, 2}, {3}}, 4);
  const std::vector<Itemset> expected{{{0}, 3}, {{1}, 3}, {{2}, 3}, {{0, 1}, 2}, {{0, 2}, 2}, {{1, 2}, 2}};
  EXPECT_EQ(frequent_itemsets(baskets, {.min_support = 2}), expected);
  EXPECT_EQ(frequent_itemsets(baskets, {.min_support = 1, .min_size = 3, .max_size = 3}),
            (std::vector<Itemset>{{{0, 1, 2}, 1}}));
  EXPECT_TRUE(frequent_itemsets(baskets, {.min_support = 4}).empty());
  EXPECT_TRUE(frequent_itemsets(test::pattern({}, 4), {}).empty());
}

TEST(FrequentItemsets, EqualsBruteForce) {
  constexpr int32_t kItems = 9;
  for (const int32_t n_baskets : {1, 63, 64, 65, 130}) {
    const Rows rows = random_baskets(static_cast<uint32_t>(n_baskets), n_baskets, kItems);
    const HostCsr baskets = test::pattern(rows, kItems);
    for (const int64_t support : {1, 3, 12}) {
      MiningParams params{.min_support = support, .min_size = 2, .max_size = 4};
      EXPECT_EQ(frequent_itemsets(baskets, params), brute_force(rows, kItems, params)) << n_baskets << ' ' << support;
      params.allowed = {1, 0, 1, 1, 1, 0, 1, 1, 1};
      params.min_size = 1;
      params.max_size = 9;
      EXPECT_EQ(frequent_itemsets(baskets, params), brute_force(rows, kItems, params)) << n_baskets << ' ' << support;
    }
  }
}

TEST(FrequentItemsets, LimitsAreErrorsOrRaiseTheSupport) {
  const Rows rows = random_baskets(5, 100, 8);
  const HostCsr baskets = test::pattern(rows, 8);
  MiningParams params{.min_support = 1, .min_size = 2, .max_size = 3, .max_itemsets = 84};  // 28 pairs and 56 triples
  EXPECT_EQ(frequent_itemsets(baskets, params).size(), 84u);
  params.max_itemsets = 83;
  EXPECT_THROW(frequent_itemsets(baskets, params), UsageError);
  int64_t used = 0;
  params.max_itemsets = 30;
  const std::vector<Itemset> sets = most_frequent_itemsets(baskets, params, &used);
  EXPECT_EQ(used, 16);
  EXPECT_LE(sets.size(), 30u);
  params.min_support = used;
  EXPECT_EQ(sets, frequent_itemsets(baskets, params));
  params.min_support = used / 2;
  EXPECT_GT(brute_force(rows, 8, params).size(), 30u);
  EXPECT_THROW(frequent_itemsets(baskets, {.min_support = 1, .max_bytes = 100}), UsageError);
  EXPECT_THROW(frequent_itemsets(baskets, {.min_support = 0}), UsageError);
  EXPECT_THROW(frequent_itemsets(baskets, {.min_size = 3, .max_size = 2}), UsageError);
  EXPECT_THROW(frequent_itemsets(baskets, {.allowed = {1, 1}}), UsageError);
}

TEST(OneItemRules, ByHand) {
  const std::vector<Itemset> sets{{{0}, 4}, {{1}, 2}, {{2}, 3}, {{0, 1}, 2}, {{0, 2}, 3}, {{1, 2}, 1}, {{0, 1, 2}, 1}};
  const std::vector<ItemRule> rules = one_item_rules(sets, 0.6);
  ASSERT_EQ(rules.size(), 4u);
  EXPECT_EQ(rules[0].antecedent, (std::vector<int32_t>{1}));
  EXPECT_EQ(rules[0].consequent, 0);
  EXPECT_DOUBLE_EQ(rules[0].confidence, 1.0);
  EXPECT_EQ(rules[1].consequent, 0);
  EXPECT_EQ(rules[2].consequent, 2);
  EXPECT_DOUBLE_EQ(rules[2].confidence, 0.75);
  EXPECT_EQ(rules[3].antecedent, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(rules[3].support, 1);
}

// The numbers of itemsets and rules that are published for these data (arules; Lantz, Machine Learning with R, 2013).
TEST(FrequentItemsets, GroceriesAsPublished) {
  const char* folder = std::getenv("SHEAF_DATA");
  const std::filesystem::path source = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  const auto root = folder ? std::filesystem::path(folder) : source.parent_path() / "shared" / "data";
  std::ifstream in(root / "groceries" / "groceries_baskets.csv");
  if (!in) GTEST_SKIP() << "no groceries in " << root << "; set SHEAF_DATA to the folder of the public data sets";
  std::map<std::string, int32_t> ids;
  Rows rows;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    auto& basket = rows.emplace_back();
    for (std::string name; std::getline(fields, name, ',');) {
      basket.push_back(ids.try_emplace(name, static_cast<int32_t>(ids.size())).first->second);
    }
    std::ranges::sort(basket);
  }
  const HostCsr baskets = test::pattern(rows, static_cast<int64_t>(ids.size()));
  ASSERT_EQ(baskets.n_rows(), 9835);
  const auto at_least = [&](int64_t support) {
    return frequent_itemsets(baskets, {.min_support = support, .max_size = 10});
  };
  const std::vector<Itemset> sets = at_least(60);  // 0.006 * 9835 = 59.01
  EXPECT_EQ(sets.size(), 747u);
  EXPECT_EQ(one_item_rules(sets, 0.25).size(), 463u);
  const std::vector<Itemset> fewer = at_least(99);  // 0.01 * 9835 = 98.35
  EXPECT_EQ(fewer.size(), 333u);
  EXPECT_EQ(one_item_rules(fewer, 0.5).size(), 15u);
}

}  // namespace
}  // namespace sheaf
