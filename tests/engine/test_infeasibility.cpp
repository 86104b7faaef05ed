#include <gtest/gtest.h>

#include "engine/optimize/branch_and_bound.hpp"
#include "engine/optimize/infeasibility.hpp"

namespace sheaf::conflict_test {
namespace {

constexpr int64_t kNodes = 100000;

/// Four candidates of price 3, 4, 5, 6; the last two are of category 1.
BundleProblem shop() {
  BundleProblem problem;
  problem.n = 4;
  problem.linear = {1, 1, 1, 1};
  problem.pair.assign(16, 1.0);
  problem.limits.resize(1);
  problem.limits[0].name = "price";
  problem.limits[0].weights = {3, 4, 5, 6};
  problem.category = {0, 0, 1, 1};
  return problem;
}

TEST(Conflict, NamesWhatClashesAndTheSmallestRelaxation) {
  BundleProblem problem = shop();
  problem.limits[0].upper = 11.0;
  problem.min_size = 3;  // 3 + 4 + 5 = 12
  problem.must_have = {0};
  problem.forbidden_pairs = {{2, 3}};
  const Conflict conflict = find_conflict(problem, kNodes);
  EXPECT_EQ(conflict.constraints, (std::vector<std::string>{"min_size = 3", "price <= 11"}));
  EXPECT_TRUE(conflict.irreducible);
  ASSERT_EQ(conflict.relaxations.size(), 2u);
  EXPECT_EQ(conflict.relaxations[0].constraint, "price <= 11");
  EXPECT_EQ(conflict.relaxations[0].to, 12.0);
  EXPECT_EQ(conflict.relaxations[1].to, 2.0);
  problem.limits[0].upper = conflict.relaxations[0].to;
  EXPECT_TRUE(solve_exact(problem, {}).feasible);
}

TEST(Conflict, NamesCandidatesAsTheFileDoes) {
  BundleProblem problem = shop();
  problem.must_have = {1};
  problem.forbidden = {1, 2};
  Conflict conflict = find_conflict(problem, kNodes, 1);
  EXPECT_EQ(conflict.constraints, (std::vector<std::string>{"must have 2", "forbidden 2"}));
  ASSERT_EQ(conflict.relaxations.size(), 2u);
  EXPECT_TRUE(conflict.relaxations[0].drop);
  problem.names = {"a", "b", "c", "d"};
  conflict = find_conflict(problem, kNodes);
  EXPECT_EQ(conflict.constraints, (std::vector<std::string>{"must have b", "forbidden b"}));
}

TEST(Conflict, CategoriesAndGroups) {
  BundleProblem problem = shop();
  problem.category_ranges = {{.category = 1, .min_items = 2, .max_items = 2}};
  problem.exclusive_groups = {{0, 1}, {2, 3}};
  const Conflict conflict = find_conflict(problem, kNodes);
  EXPECT_EQ(conflict.constraints, (std::vector<std::string>{"category 1 >= 2 items", "at most one of 2, 3"}));
  ASSERT_FALSE(conflict.relaxations.empty());
  EXPECT_EQ(conflict.relaxations[0].constraint, "category 1 >= 2 items");
  EXPECT_EQ(conflict.relaxations[0].to, 1.0);
}

TEST(Conflict, TwoClashesHaveNoSingleRelaxationAndAFeasibleProblemHasNone) {
  BundleProblem problem = shop();
  EXPECT_TRUE(find_conflict(problem, kNodes).constraints.empty());
  problem.must_have = {0, 1};
  problem.forbidden = {0, 1};
  const Conflict conflict = find_conflict(problem, kNodes);
  EXPECT_EQ(conflict.constraints.size(), 2u);
  EXPECT_TRUE(conflict.relaxations.empty());
}

}  // namespace
}  // namespace sheaf::conflict_test
