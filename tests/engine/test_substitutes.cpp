#include "engine/associate/substitutes.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

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
  // 0 1 0 1: three changes; by chance 2 * 2 * 2 / 4.
  EXPECT_EQ(pair.switches, 0);
  EXPECT_FLOAT_EQ(pair.expected_switches, 2.0f);
  // The only pair of its category: nothing else tells what to expect, so the prior is 1.
  EXPECT_FLOAT_EQ(pair.ratio, 3.0f / 4.12f);
  EXPECT_EQ(pair.kind, PairKind::neither);
  // The 5 and 95 % points of a Gamma distribution of shape 3 and mean 1 are 0.8177 / 3 and 6.2958 / 3; ours are an approximation.
  EXPECT_NEAR(pair.lower, 3.0 / 4.12 * 0.8177 / 3, 0.01 * 0.2);
  EXPECT_NEAR(pair.upper, 3.0 / 4.12 * 6.2958 / 3, 0.003 * 1.53);
}

}  // namespace
}  // namespace sheaf
