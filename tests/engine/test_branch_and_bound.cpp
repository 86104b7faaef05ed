// The exact search against all sets, and the upper bound against the exact search.

#include "engine/optimize/branch_and_bound.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/optimize/lagrangian_bound.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::exact_test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  int32_t roll(int32_t low, int32_t high) { return std::uniform_int_distribution<int32_t>(low, high)(engine_); }
  double cents(int32_t low, int32_t high) { return roll(low, high) / 100.0; }
  bool often(int32_t percent) { return roll(1, 100) <= percent; }

 private:
  std::mt19937 engine_;
};

/// Each kind of constraint present or not, by the dice; some problems have no feasible set.
BundleProblem some_problem(int64_t n, uint32_t seed, bool whole) {
  Dice dice(seed);
  const auto id = [&] { return dice.roll(0, static_cast<int32_t>(n) - 1); };
  const auto term = [&](int32_t low, int32_t high) {
    return whole ? dice.roll(low, high) : dice.cents(100 * low, 100 * high);
  };
  const int32_t lowest = dice.often(50) ? -30 : 0;
  BundleProblem problem;
  problem.n = n;
  problem.integral = whole;
  for (int64_t i = 0; i < n; ++i) problem.linear.push_back(term(lowest, 40));
  problem.pair.assign(static_cast<size_t>(n * n), 0.0);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      problem.pair[static_cast<size_t>(i * n + j)] = problem.pair[static_cast<size_t>(j * n + i)] = term(lowest, 50);
    }
  }
  const int32_t n_limits = dice.roll(0, 3);
  for (int32_t r = 0; r < n_limits; ++r) {
    WeightLimit limit;
    const int32_t light = dice.often(30) ? -1000 : 50;
    for (int64_t i = 0; i < n; ++i) limit.weights.push_back(dice.cents(light, 2000));
    if (dice.often(70)) limit.upper = dice.cents(1500, 5000);
    if (dice.often(30)) limit.lower = dice.cents(500, 1500);
    problem.limits.push_back(limit);
  }
  problem.min_size = dice.roll(0, 3);
  problem.max_size = dice.often(30) ? n : dice.roll(3, 5);
  if (dice.often(60)) {
    for (int64_t i = 0; i < n; ++i) problem.category.push_back(dice.roll(0, 4));
    problem.min_categories = dice.roll(0, 3);
    problem.category_ranges = {{.category = 1, .min_items = dice.roll(0, 1), .max_items = 2},
                               {.category = 3, .min_items = 0, .max_items = dice.roll(0, 2)}};
  }
  if (dice.often(40)) problem.must_have = {id()};
  if (dice.often(40)) problem.forbidden = {id(), id()};
  for (int k = dice.roll(0, 6); k > 0; --k) {
    const int32_t a = id(), b = id();
    if (a != b) problem.forbidden_pairs.emplace_back(a, b);
  }
  if (dice.often(40)) problem.exclusive_groups = {{0, 1, 2, 4}, {4, 5, 7}};
  return problem;
}

/// The best by trying all sets; -infinity: none is feasible.
double best_of_all(const BundleProblem& problem) {
  double best = -kInfinity;
  for (uint32_t mask = 0; mask < (1u << problem.n); ++mask) {
    std::vector<int32_t> items;
    for (int32_t i = 0; i < problem.n; ++i) {
      if ((mask >> i & 1u) != 0) items.push_back(i);
    }
    if (static_cast<int64_t>(items.size()) > problem.max_size) continue;
    if (violation_of(problem, items) == 0.0) best = std::max(best, value_of(problem, items));
  }
  return best;
}

TEST(ExactSearch, EqualsTheBestOfAllSets) {
  int feasible = 0, infeasible = 0;
  for (uint32_t seed = 0; seed < 120; ++seed) {
    const BundleProblem problem = some_problem(10, seed, seed % 2 == 0);
    const double best = best_of_all(problem);
    const BundleAnswer answer = solve_exact(problem, {});
    ASSERT_TRUE(answer.proven) << seed;
    ASSERT_EQ(answer.feasible, best > -kInfinity) << seed;
    if (!answer.feasible) {
      ++infeasible;
      continue;
    }
    ++feasible;
    EXPECT_EQ(violation_of(problem, answer.items), 0.0) << seed;
    EXPECT_NEAR(answer.value, best, 1e-9) << seed;
    EXPECT_EQ(answer.upper_bound, answer.value);
  }
  EXPECT_GT(feasible, 30);
  EXPECT_GT(infeasible, 3);
}

TEST(ExactSearch, LargerSizesAreSolved) {
  for (const auto& [n, size] : {std::pair{64, 4}, std::pair{40, 6}, std::pair{32, 8}}) {
    int feasible = 0;
    for (uint32_t seed = 0; seed < 8; ++seed) {
      BundleProblem problem = some_problem(n, seed, true);
      problem.min_size = 2;
      problem.max_size = size;
      const BundleAnswer answer = solve_exact(problem, {});
      EXPECT_TRUE(answer.proven);
      feasible += answer.feasible;
      // No swap improves an optimum.
      for (size_t k = 0; answer.feasible && k < answer.items.size(); ++k) {
        for (int32_t other = 0; other < n; ++other) {
          std::vector<int32_t> items(answer.items);
          if (std::ranges::count(items, other) > 0) continue;
          items[k] = other;
          if (violation_of(problem, items) == 0.0) {
            EXPECT_LE(value_of(problem, items), answer.value);
          }
        }
      }
      RecordProperty("seconds_" + std::to_string(n) + "_" + std::to_string(seed), std::to_string(answer.seconds));
    }
    EXPECT_GE(feasible, 4);
  }
}

TEST(ExactSearch, SaysWhenTimeEndedItAndKeepsTheStart) {
  BundleProblem problem = some_problem(200, 5, true);
  const std::vector<double> pair = problem.pair;
  problem = BundleProblem();
  problem.n = 200;
  problem.linear.assign(200, 1.0);
  problem.pair = pair;
  problem.min_size = problem.max_size = 40;
  std::vector<int32_t> start(40);
  for (int32_t i = 0; i < 40; ++i) start[static_cast<size_t>(i)] = 2 * i;
  const BundleAnswer answer = solve_exact(problem, {.time_limit = 0.05, .start = start});
  EXPECT_FALSE(answer.proven);
  EXPECT_TRUE(answer.feasible);
  EXPECT_GE(answer.value, value_of(problem, start));
  EXPECT_EQ(answer.upper_bound, kInfinity);
}

TEST(UpperBound, IsNeverBelowTheOptimum) {
  Context context;
  for (uint32_t seed = 0; seed < 80; ++seed) {
    const BundleProblem problem = some_problem(10, seed, seed % 2 == 0);
    const double best = best_of_all(problem);
    for (const int64_t steps : {1, 60}) {
      const UpperBound bound = upper_bound(context, problem, {.steps = steps, .time_limit = 0.0});
      EXPECT_GE(bound.bound, best) << "seed " << seed << ", steps " << steps;
      if (best == -kInfinity) continue;
      const UpperBound aimed =
          upper_bound(context, problem, {.steps = steps, .time_limit = 0.0, .value = best, .has_value = true});
      EXPECT_GE(aimed.bound, best) << "seed " << seed << ", steps " << steps;
    }
  }
}

TEST(UpperBound, StepsLowerIt) {
  Context context;
  for (uint32_t seed = 0; seed < 5; ++seed) {
    Dice dice(seed);
    BundleProblem problem;
    problem.n = 18;
    problem.linear.assign(18, 1.0);
    problem.pair.assign(18 * 18, 0.0);
    problem.limits.resize(1);
    for (size_t i = 0; i < 18; ++i) {
      for (size_t j = 0; j < i; ++j) problem.pair[i * 18 + j] = problem.pair[j * 18 + i] = dice.roll(1, 100);
      problem.limits[0].weights.push_back(dice.roll(1, 50));
    }
    problem.limits[0].upper = 150.0;
    const double best = best_of_all(problem);
    const auto gap = [&](int64_t steps) {
      return upper_bound(context, problem, {.steps = steps, .time_limit = 0.0, .value = best, .has_value = true})
                 .bound -
             best;
    };
    EXPECT_LT(gap(100), gap(1)) << seed;
  }
}

TEST(Gap, IsRelativeToTheValue) {
  EXPECT_EQ(gap_of(11.0, 10.0), 0.1);
  EXPECT_EQ(gap_of(-9.0, -10.0), 0.1);
  EXPECT_EQ(gap_of(10.0, 10.0), 0.0);
  EXPECT_EQ(gap_of(1.0, 0.0), kInfinity);
}

}  // namespace
}  // namespace sheaf::exact_test
