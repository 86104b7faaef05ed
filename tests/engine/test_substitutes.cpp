#include "engine/associate/substitutes.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "engine/associate/user_baskets.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

/// Baskets of users, a day apart in the order of this list.
struct Receipts {
  std::vector<int32_t> rows, columns, users;
  std::vector<int64_t> times;

  void add(int32_t user, const std::vector<int32_t>& items) {
    for (const int32_t item : items) {
      rows.push_back(static_cast<int32_t>(users.size()));
      columns.push_back(item);
    }
    times.push_back(86400 * static_cast<int64_t>(users.size()));
    users.push_back(user);
  }
  HostCsr baskets(int64_t n_items) const {
    return csr_from_pairs(rows, columns, {}, static_cast<int64_t>(users.size()), n_items);
  }
  PairRelations relate(const std::vector<int32_t>& category, const std::vector<int32_t>& type = {},
                       const RelationParams& params = {}) const {
    const HostCsr b = baskets(static_cast<int64_t>(category.size()));
    return relate_pairs({.baskets = b, .basket_user = users, .basket_time = times, .category = category, .type = type},
                        params);
  }
};

TEST(Substitutes, CountsAreThoseByHand) {
  // Items 0 and 1 of category 0, item 2 of category 1. Widths of user 0's baskets: 1, 1, 2, 1; of user 1's: 1.
  Receipts r;
  r.add(0, {0});
  r.add(0, {1});
  r.add(0, {0, 2});
  r.add(0, {1});
  r.add(1, {0, 1});
  const PairRelation pair = r.relate({0, 0, 1}).find(0, 1);
  // User 0: 2 * 2 * (1 + 1 + 4 + 1) / 25 = 1.12; user 1: 1 * 1 * 1 = 1.
  EXPECT_EQ(pair.together, 1);
  EXPECT_FLOAT_EQ(pair.expected, 2.12f);
  // The only pair of its category: nothing else tells what to expect, so the prior is 1.
  EXPECT_FLOAT_EQ(pair.ratio, 3.0f / 4.12f);
  EXPECT_EQ(pair.kind, PairKind::neither);
  // The 5 and 95 % points of a Gamma distribution of shape 3 and mean 1 are 0.8177 / 3 and 6.2958 / 3. Ours are an
  // approximation.
  EXPECT_NEAR(pair.lower, 3.0 / 4.12 * 0.8177 / 3, 0.01 * 0.2);
  EXPECT_NEAR(pair.upper, 3.0 / 4.12 * 6.2958 / 3, 0.003 * 1.53);
}

TEST(UserBaskets, SwitchesAreCountedAlongEachUser) {
  Receipts r;
  for (const auto& items : std::vector<std::vector<int32_t>>{{0}, {1}, {2}, {0, 1}, {0}, {1}}) r.add(0, items);
  r.add(1, {0});  // another user: no switch from 1 to 0
  r.add(1, {0});
  const HostCsr b = r.baskets(3);
  const std::vector<int32_t> category{0, 0, 0};
  const UserBaskets baskets(b, r.users, r.times, category);
  // 0 1 0 1, without the basket of both: three changes; by chance 2 * 2 * 2 / 4. User 1 never had the choice.
  EXPECT_EQ(baskets.switches(0, 1).observed, 3);
  EXPECT_DOUBLE_EQ(baskets.switches(0, 1).expected, 2.0);
}

/// Twelve users with twenty baskets each: `make(rng)` draws one.
template <class Make>
Receipts drawn(const Make& make) {
  std::mt19937 rng(7);
  Receipts r;
  for (int basket = 0; basket < 20; ++basket) {
    for (int32_t user = 0; user < 12; ++user) r.add(user, make(rng));
  }
  return r;
}

bool chance(std::mt19937& rng, double p) { return static_cast<double>(rng()) < p * 4294967296.0; }

TEST(Substitutes, PlantedPairsAreFound) {
  // Every other basket has 0 or 1, never both; every third has 2 and 3, nearly always both; 4 and 5 come independently;
  // 6 and 7 are like 4 and 5 but in one category.
  const Receipts r = drawn([](std::mt19937& rng) {
    std::vector<int32_t> items;
    if (chance(rng, 0.5)) items.push_back(chance(rng, 0.5) ? 0 : 1);
    const bool meal = chance(rng, 0.3);
    if (meal) items.push_back(2);
    if (meal ? chance(rng, 0.9) : chance(rng, 0.03)) items.push_back(3);
    for (const int32_t item : {4, 5, 6, 7}) {
      if (chance(rng, 0.4)) items.push_back(item);
    }
    return items;
  });
  const PairRelations found = r.relate({0, 0, 1, 2, 3, 4, 5, 5});
  EXPECT_EQ(found.kind(0, 1), PairKind::substitute);
  EXPECT_EQ(found.kind(1, 0), PairKind::substitute);
  EXPECT_EQ(found.find(0, 1).together, 0);
  EXPECT_LT(found.find(0, 1).upper, 0.3f);
  EXPECT_EQ(found.kind(2, 3), PairKind::complement);
  EXPECT_EQ(found.kind(4, 5), PairKind::neither);
  EXPECT_EQ(found.kind(6, 7), PairKind::neither);
  EXPECT_EQ(found.kind(0, 4), PairKind::neither);
  const HostCsr substitutes = found.substitutes(), complements = found.complements();
  EXPECT_EQ(substitutes.columns, (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(substitutes.values, (std::vector<float>{found.find(0, 1).strength, found.find(0, 1).strength}));
  EXPECT_EQ(complements.columns, (std::vector<int32_t>{3, 2}));
  EXPECT_EQ(found.partners(0).size(), 8u - 1 - (found.find(0, 2).together < 3) - (found.find(0, 3).together < 3));
}

TEST(Substitutes, ComplementsAreOftenEnoughTogether) {
  // One category: 0 and 1 always come together, the others independently.
  const Receipts r = drawn([](std::mt19937& rng) {
    std::vector<int32_t> items;
    if (chance(rng, 0.1)) items = {0, 1};
    for (const int32_t item : {2, 3, 4, 5}) {
      if (chance(rng, 0.4)) items.push_back(item);
    }
    return items;
  });
  const std::vector<int32_t> category(6, 0);
  RelationParams params;
  params.min_together = r.relate(category).find(0, 1).together;
  EXPECT_GT(params.min_together, 10);
  EXPECT_EQ(r.relate(category, {}, params).kind(0, 1), PairKind::complement);
  ++params.min_together;
  EXPECT_EQ(r.relate(category, {}, params).kind(0, 1), PairKind::neither);
}

TEST(Substitutes, ProductsOfTwoSeasonsReplaceNothing) {
  // Half the baskets have 0 or 1. In one run they alternate at random; in the other, 0 comes in the first ten baskets
  // and 1 after them.
  const auto receipts = [](bool seasons) {
    std::mt19937 rng(3);
    Receipts r;
    for (int basket = 0; basket < 20; ++basket) {
      for (int32_t user = 0; user < 12; ++user) {
        const bool first = seasons ? basket < 10 : chance(rng, 0.5);
        r.add(user, chance(rng, 0.5) ? std::vector<int32_t>{first ? 0 : 1} : std::vector<int32_t>{2});
      }
    }
    return r;
  };
  const PairRelation choice = receipts(false).relate({0, 0, 1}).find(0, 1);
  const PairRelation season = receipts(true).relate({0, 0, 1}).find(0, 1);
  EXPECT_LT(choice.upper, 1.0f);
  EXPECT_LT(season.upper, 1.0f);
  EXPECT_EQ(choice.kind, PairKind::substitute);
  EXPECT_EQ(season.kind, PairKind::neither);
  EXPECT_EQ(season.switches, 12);  // once each user
  EXPECT_GT(season.expected_switches, 2 * 12.0f);
}

TEST(Substitutes, ATypeSpeaksForItsProductsUnlessTheyDo) {
  // Items 0 to 5 have one type; 0 to 3 exclude each other, 4 and 5 come together. 6 and 7, of the same type, were never
  // bought.
  const Receipts r = drawn([](std::mt19937& rng) {
    std::vector<int32_t> items{static_cast<int32_t>(rng() % 4)};
    if (chance(rng, 0.1)) items.insert(items.end(), {4, 5});
    return items;
  });
  const std::vector<int32_t> category(9, 0), type{0, 0, 0, 0, 0, 0, 0, 0, 1};
  const PairRelations found = r.relate(category, type);
  EXPECT_EQ(found.kind(6, 7), PairKind::substitute);
  EXPECT_EQ(found.find(6, 7).expected, 0.0f);
  EXPECT_LT(found.find(6, 7).ratio, 1.0f);
  EXPECT_EQ(found.kind(0, 6), PairKind::substitute);
  EXPECT_EQ(found.kind(4, 5), PairKind::complement);
  EXPECT_EQ(found.kind(7, 8), PairKind::neither);  // of another type
  EXPECT_EQ(r.relate(category).kind(6, 7), PairKind::neither);
}

TEST(Substitutes, AnUnknownCategoryHasNoSubstitutes) {
  const Receipts r = drawn([](std::mt19937& rng) {
    return chance(rng, 0.5) ? std::vector<int32_t>{static_cast<int32_t>(rng() % 2)} : std::vector<int32_t>{2, 3};
  });
  const PairRelations found = r.relate({-1, -1, -1, -1});
  EXPECT_EQ(found.kind(0, 1), PairKind::neither);
  EXPECT_EQ(found.kind(2, 3), PairKind::complement);
}

TEST(Substitutes, NothingBoughtSaysNothing) {
  const PairRelations none = Receipts{}.relate({0, 0, 1});
  EXPECT_EQ(none.n_items(), 3);
  EXPECT_EQ(none.find(0, 1).ratio, 1.0f);
  EXPECT_EQ(none.kind(0, 1), PairKind::neither);
  EXPECT_EQ(none.kind(0, 2), PairKind::neither);
  EXPECT_EQ(none.kind(1, 1), PairKind::neither);
  EXPECT_EQ(none.substitutes().nnz(), 0);
  EXPECT_EQ(none.substitutes().n_rows(), 3);
  EXPECT_EQ(Receipts{}.relate({}).n_items(), 0);
}

TEST(Substitutes, WhatDoesNotFitIsRefused) {
  Receipts r;
  r.add(0, {0, 1});
  EXPECT_THROW(r.relate({0, 0}, {0}), UsageError);
  EXPECT_THROW(r.relate({0, 0}, {}, {.prior_within = 0}), UsageError);
  r.users[0] = -1;
  EXPECT_THROW(r.relate({0, 0}), UsageError);
  r.users.push_back(0);
  const HostCsr one = csr_from_pairs(std::vector<int32_t>{0}, std::vector<int32_t>{0}, {}, 1, 1);
  const std::vector<int32_t> category{0};
  EXPECT_THROW(relate_pairs({.baskets = one, .basket_user = r.users, .basket_time = r.times, .category = category}),
               UsageError);
}

TEST(UserBaskets, TheNextBasketWithinAWeek) {
  // Baskets a day apart, as they are listed.
  Receipts r;
  r.add(0, {0});
  r.add(0, {1});     // follows 0
  r.add(0, {0, 1});  // holds both: follows 1 with 0, and is no basket with one of the two
  r.add(0, {2});
  r.add(1, {0});  // never buys 1
  r.add(1, {2});
  const HostCsr b = r.baskets(3);
  const std::vector<int32_t> category{0, 0, 0};
  const UserBaskets baskets(b, r.users, r.times, category);
  const UserBaskets::Count week = baskets.follows(0, 1, 7 * 86400);
  EXPECT_EQ(week.observed, 2);
  EXPECT_DOUBLE_EQ(week.expected,
                   2.0 / 4 + 2.0 / 4);  // each user 0's baskets are one category wide; both items are in two of four
  EXPECT_EQ(baskets.follows(1, 0, 7 * 86400).observed, 2);
  EXPECT_EQ(baskets.follows(0, 1, 86399).observed, 0);
}

}  // namespace
}  // namespace sheaf
