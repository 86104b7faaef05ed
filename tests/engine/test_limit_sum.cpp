// Limits of whole numbers and decimals: the checker, branch and bound, the upper bound, the search, the front and the
// diagnosis against sums of 128-bit whole numbers.

#include "engine/optimize/limit_sum.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/optimize/branch_and_bound.hpp"
#include "engine/optimize/exact_descent.hpp"
#include "engine/optimize/infeasibility.hpp"
#include "engine/optimize/lagrangian_bound.hpp"
#include "engine/optimize/packed_problem.hpp"
#include "engine/optimize/pareto.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::limit_sum_test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

BundleProblem problem_of(std::vector<double> linear, std::vector<WeightLimit> limits) {
  BundleProblem problem;
  problem.n = std::ssize(linear);
  problem.pair.assign(linear.size() * linear.size(), 0.0);
  problem.linear = std::move(linear);
  problem.limits = std::move(limits);
  problem.integral = is_integral(problem);
  return problem;
}

bool keeps(const std::vector<double>& weights, double lower, double upper) {
  std::vector<int32_t> all;
  for (size_t i = 0; i < weights.size(); ++i) all.push_back(static_cast<int32_t>(i));
  return LimitSum({.name = "", .weights = weights, .lower = lower, .upper = upper}).violation(all) == 0.0;
}

TEST(LimitSum, WholeNumbersAreExactUpTo2To62) {
  EXPECT_FALSE(keeps({1e9, 1.0}, -kInfinity, 1e9));
  EXPECT_TRUE(keeps({1e9, 1.0}, -kInfinity, 1e9 + 1.0));
  EXPECT_FALSE(keeps({1e9, 1.0}, 1e9 + 2.0, kInfinity));
  EXPECT_TRUE(keeps({1e9, 1.0}, 1e9 + 1.0, 1e9 + 1.0));
  EXPECT_FALSE(keeps({1e12, 1000.0}, -kInfinity, 1e12));
  EXPECT_FALSE(keeps({0x1.0p53, 1.0}, -kInfinity, 0x1.0p53));  // a double does not hold this sum
  EXPECT_TRUE(keeps({0x1.0p53, 1.0, -1.0}, 0x1.0p53, 0x1.0p53));
  EXPECT_FALSE(keeps({0x1.0p61, 1.0}, -kInfinity, 0x1.0p61));
  EXPECT_FALSE(keeps({-1e9, -1.0}, -1e9, kInfinity));
  EXPECT_TRUE(keeps({5.0, 6.0}, -kInfinity, 1e300));
  EXPECT_FALSE(keeps({5.0, 6.0}, -kInfinity, -1e300));
  EXPECT_FALSE(keeps({5.0, 6.0}, 1e-300, 1e-300));
  EXPECT_TRUE(keeps({0.0, 0.0}, 0.0, 0.0));
  EXPECT_FALSE(keeps({0.0, 0.0}, 1e-200, kInfinity));
}

TEST(LimitSum, DecimalsAreExactInAnyUnit) {
  EXPECT_TRUE(keeps({2.99, 7.01}, 10.0, 10.0));
  EXPECT_TRUE(keeps({0.1, 0.2}, 0.3, 0.3));
  EXPECT_TRUE(keeps(std::vector<double>(10, 0.1), 1.0, 1.0));
  EXPECT_FALSE(keeps({4e-10, 8e-10}, -kInfinity, 1e-9));
  EXPECT_TRUE(keeps({4e-10, 6e-10}, 1e-9, 1e-9));
  EXPECT_FALSE(keeps({1e-200, 1e-200}, -kInfinity, 1e-200));
  EXPECT_FALSE(keeps({3e200, 1e200}, -kInfinity, 3e200));
  EXPECT_TRUE(keeps({3e200, 1e200}, 4e200, 4e200));
  EXPECT_FALSE(keeps({1e9, 1e-6}, -kInfinity, 1e9));
  EXPECT_FALSE(keeps({1.0, 2.0}, -kInfinity, 2.999999999999));
  EXPECT_TRUE(keeps({1.0, 2.0}, -kInfinity, 3.000000000001));
  EXPECT_FALSE(keeps({1.0, 2.0}, 3.000000000001, kInfinity));
}

// What a program computed, and what is beyond 2^62: within 1e-12 of the sizes, whatever the unit.
TEST(LimitSum, OtherNumbersHaveARelativeTolerance) {
  EXPECT_TRUE(keeps({0.1}, -kInfinity, 0.3 - 0.2));  // 0.09999999999999998
  for (const double unit : {1.0, 1e-200, 1e200, 1.0 / 3.0}) {
    EXPECT_TRUE(keeps({unit / 3.0, unit * 2.0 / 3.0}, unit, unit)) << unit;
    EXPECT_TRUE(keeps({unit / 3.0, unit * 2.0 / 3.0}, -kInfinity, unit * (1.0 - 1e-12))) << unit;
    EXPECT_FALSE(keeps({unit / 3.0, unit * 2.0 / 3.0}, -kInfinity, unit * (1.0 - 1e-11))) << unit;
    EXPECT_TRUE(keeps({unit / 3.0, -unit / 3.0}, 0.0, 0.0)) << unit;
    EXPECT_FALSE(keeps({unit / 3.0, -unit / 3.0 * (1.0 - 1e-11)}, -kInfinity, 0.0)) << unit;
  }
  EXPECT_TRUE(keeps({1e20, 1.0}, -kInfinity, 1e20));
  EXPECT_FALSE(keeps({1e20, 1e10}, -kInfinity, 1e20));
}

TEST(LimitSum, SumsAndViolationsByHand) {
  const LimitSum cents({.name = "", .weights = {2.99, 7.01, 0.1}, .lower = 3.0, .upper = 10.0});
  EXPECT_EQ(cents.of({0, 1}), 10.0);
  EXPECT_EQ(cents.of({0, 2}), 3.09);
  EXPECT_EQ(cents.violation({0, 1, 2}), 0.01);  // 0.1 of 10
  EXPECT_EQ(cents.violation({0}), 0.01 / 3.0);
  EXPECT_EQ(LimitSum({.name = "", .weights = {1e9, 1.0}, .upper = 1e9}).violation({0, 1}), 1e-9);
  EXPECT_EQ(LimitSum({.name = "", .weights = {5.0}, .upper = 4.5}).violation({0}), 0.5 / 4.5);
  EXPECT_GT(LimitSum({.name = "", .weights = {1e-320, 1e-320}, .upper = 1e-320}).violation({0, 1}), 0.0);
}

TEST(WholeNumberLimits, TheAnswerIsProvenAndRight) {
  Context context;
  const auto check = [&](const BundleProblem& problem, double best) {
    const BundleAnswer exact = solve_exact(problem, {}), found = solve(context, problem, {});
    EXPECT_TRUE(exact.proven && exact.feasible);
    EXPECT_EQ(exact.value, best);
    EXPECT_TRUE(found.feasible);
    EXPECT_EQ(found.value, best);
    EXPECT_GE(upper_bound(context, problem, {}).bound, best);
  };
  check(problem_of({1, 1}, {{.name = "", .weights = {1e9, 1}, .upper = 1e9}}), 1.0);
  check(problem_of({1, 1}, {{.name = "", .weights = {4e-10, 8e-10}, .upper = 1e-9}}), 1.0);
  check(problem_of({3, 2, 2}, {{.name = "", .weights = {1e12 + 1000, 5e11, 5e11 + 1}, .upper = 1e12}}), 2.0);
  check(problem_of({3, 2, 2}, {{.name = "", .weights = {1e12 + 1000, 5e11, 5e11}, .upper = 1e12}}), 4.0);
  check(problem_of({1, 1}, {{.name = "", .weights = {0.1, 0.2}, .lower = 0.3, .upper = 0.3}}), 2.0);
  // One set alone meets an equation of 40 bits.
  check(problem_of(
            {1, 1, 1, 1},
            {{.name = "", .weights = {1e12 + 7, 1e12 + 11, 1e12 - 5, 1e12 + 1}, .lower = 2e12 + 2, .upper = 2e12 + 2}}),
        2.0);
}

// All eight fit to the last unit. Rounded to float32 they do not, and sets of seven fill the pool.
TEST(WholeNumberLimits, ExchangesFindWhatRoundingLeavesOut) {
  Context context;
  WeightLimit limit{.name = "", .weights = {}, .upper = 0.0};
  for (int64_t i = 0; i < 8; ++i) {
    limit.weights.push_back(static_cast<double>(1'000'000'000'007 + 2 * i * i));
    limit.upper += limit.weights.back();
  }
  BundleProblem problem = problem_of(std::vector<double>(8, 1.0), {limit});
  EXPECT_EQ(solve(context, problem, {.local_searches = 4}).value, 8.0);
  const ParetoProblem several{.rules = problem, .objectives = {{.name = "", .linear = problem.linear}}};
  EXPECT_EQ(find_front(context, several, {.population = 8, .generations = 20}).sets.front().values[0], 8.0);
  problem.limits[0].upper -= 1.0;
  EXPECT_EQ(solve(context, problem, {.local_searches = 4}).value, 7.0);
}

TEST(ExactDescent, KeepsTheRulesAndLeavesNothingToGain) {
  BundleProblem problem =
      problem_of({5, 4, 3, 2, 1}, {{.name = "", .weights = {1e12 + 4, 3, 2, 1, 1e12}, .upper = 1e12 + 4}});
  problem.max_size = 2;
  problem.must_have = {4};
  problem.forbidden = {1};
  const std::vector<LimitSum> limits = limit_sums(problem);
  const auto ends = [&](const std::vector<int32_t>& start) {
    return descend(problem, limits, judge(problem, limits, start), [] { return false; });
  };
  EXPECT_EQ(ends({4}).items, (std::vector<int32_t>{2, 4}));
  EXPECT_EQ(ends({3, 4}).items, (std::vector<int32_t>{2, 4}));
  EXPECT_EQ(ends({0, 4}).items, (std::vector<int32_t>{2, 4}));  // over the limit
  EXPECT_EQ(ends({0, 4}).value, 4.0);
  EXPECT_EQ(descend(problem, limits, judge(problem, limits, {4}), [] { return true; }).items, std::vector<int32_t>{4});
}

TEST(WholeNumberLimits, WhatClashesIsNamedWithTheNearestSum) {
  BundleProblem problem = problem_of({1, 1}, {{.name = "w", .weights = {1e9, 1}, .upper = 1e9}});
  problem.min_size = 2;
  Conflict conflict = find_conflict(problem, 1000);
  ASSERT_EQ(conflict.relaxations.size(), 2u);
  EXPECT_EQ(conflict.relaxations[0].constraint, "w <= 1000000000");
  EXPECT_EQ(conflict.relaxations[0].to, 1000000001.0);
  // Decimals: 1.1 + 1.15, the nearest sum, though 1 + 1.3 is found first and less than half a unit above it.
  problem = problem_of({1, 1, 1, 1}, {{.name = "w", .weights = {1.0, 1.1, 1.15, 1.3}, .upper = 2.2}});
  problem.min_size = 2;
  problem.forbidden_pairs = {{0, 1}, {0, 2}};
  conflict = find_conflict(problem, 1000);
  ASSERT_FALSE(conflict.relaxations.empty());
  EXPECT_EQ(conflict.relaxations[0].constraint, "w <= 2.2");
  EXPECT_EQ(conflict.relaxations[0].to, 2.25);
}

/// Weights in whole units of 10^-decimals, the truth in 128 bits.
struct UnitProblem {
  BundleProblem problem;
  std::vector<std::vector<int64_t>> weights;
  std::vector<int64_t> lower, upper;

  bool is_feasible(uint32_t mask) const {
    for (size_t r = 0; r < weights.size(); ++r) {
      __extension__ __int128 sum = 0;
      for (size_t i = 0; i < weights[r].size(); ++i) sum += (mask >> i & 1u) != 0 ? weights[r][i] : 0;
      if (sum > upper[r] || sum < lower[r]) return false;
    }
    return true;
  }
  double best() const {
    double best = -kInfinity;
    for (uint32_t mask = 0; mask < 1u << problem.n; ++mask) {
      if (is_feasible(mask)) best = std::max(best, value_of(problem, items_of(mask)));
    }
    return best;
  }
  std::vector<int32_t> items_of(uint32_t mask) const {
    std::vector<int32_t> items;
    for (int32_t i = 0; i < problem.n; ++i) {
      if ((mask >> i & 1u) != 0) items.push_back(i);
    }
    return items;
  }
  bool is_feasible(const std::vector<int32_t>& items) const {
    uint32_t mask = 0;
    for (const int32_t i : items) mask |= 1u << i;
    return is_feasible(mask);
  }
};

/// The bound is that of a random set, or one unit off: what is one unit over must not be taken.
UnitProblem random_problem(int64_t n, uint32_t seed, int64_t most, int decimals, int64_t most_term) {
  std::mt19937_64 engine(seed);
  const auto dice = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine);
  };
  const double unit = std::pow(10.0, decimals);
  UnitProblem result;
  std::vector<double> linear;
  for (int64_t i = 0; i < n; ++i) linear.push_back(static_cast<double>(dice(1, most_term)));
  std::vector<WeightLimit> limits;
  for (int64_t r = dice(1, 2); r > 0; --r) {
    const int64_t least = dice(0, 3) == 0 ? -most / 3 : 1;
    std::vector<int64_t> weights;
    int64_t some = 0;
    for (int64_t i = 0; i < n; ++i) {
      weights.push_back(dice(least, most));
      if (dice(0, 1) == 0) some += weights.back();
    }
    const int64_t upper = some - dice(0, 1),
                  lower = dice(0, 4) == 0 ? upper - dice(0, most / 4) : -int64_t{4} * most * n;
    WeightLimit limit{.name = "",
                      .weights = {},
                      .lower = static_cast<double>(lower) / unit,
                      .upper = static_cast<double>(upper) / unit};
    for (const int64_t weight : weights) limit.weights.push_back(static_cast<double>(weight) / unit);
    limits.push_back(std::move(limit));
    result.weights.push_back(std::move(weights));
    result.lower.push_back(lower);
    result.upper.push_back(upper);
  }
  result.problem = problem_of(std::move(linear), std::move(limits));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      const auto term = static_cast<double>(dice(-most_term / 2, most_term));
      result.problem.pair[static_cast<size_t>(i * n + j)] = result.problem.pair[static_cast<size_t>(j * n + i)] = term;
    }
  }
  result.problem.integral = is_integral(result.problem);
  return result;
}

bool fits_in(const genetic::SearchProblems& view, const std::vector<int32_t>& items) {
  for (int32_t r = 0; r < view.n_limits; ++r) {
    double sum = 0.0;
    for (const int32_t i : items) sum += static_cast<double>(view.weight[r * view.n_candidates + i]);
    if (sum > view.upper[r]) return false;
  }
  return true;
}

TEST(RandomLimits, AllAgreeWithEnumeration) {
  Context context;
  constexpr int64_t kBig = 1'000'000'000'000;
  int64_t infeasible = 0;
  uint32_t seed = 0;
  for (const auto& [most, decimals] : {std::pair{kBig, 0},
                                       {kBig, 3},
                                       {int64_t{1000}, 9},
                                       {int64_t{999'999}, 2},
                                       {int64_t{1'000'000'000}, 9},
                                       {int64_t{40}, 12}}) {
    for (int trial = 0; trial < 8; ++trial, ++seed) {
      SCOPED_TRACE(testing::Message() << "most " << most << ", decimals " << decimals << ", seed " << seed);
      const UnitProblem one = random_problem(10, seed, most, decimals, trial % 2 == 0 ? 50 : int64_t{100'000'007});
      const std::vector<LimitSum> limits = limit_sums(one.problem);
      for (uint32_t mask = 0; mask < 1u << 10; ++mask) {
        ASSERT_EQ(violation_of(one.problem, limits, one.items_of(mask)) == 0.0, one.is_feasible(mask)) << mask;
      }
      // What fits the tightened limits fits the problem's, and what fits those fits the loosened ones.
      const PackedProblem packed(context, one.problem), loosened(context, one.problem, LimitRounding::loosened);
      for (uint32_t mask = 0; mask < 1u << 10; ++mask) {
        const bool fits = fits_in(packed.view(), one.items_of(mask));
        ASSERT_TRUE(packed.is_exact() ? fits == one.is_feasible(mask) : !fits || one.is_feasible(mask)) << mask;
        ASSERT_TRUE(fits_in(loosened.view(), one.items_of(mask)) || !one.is_feasible(mask)) << mask;
      }
      const double best = one.best();
      const BundleAnswer exact = solve_exact(one.problem, {});
      ASSERT_TRUE(exact.proven);
      ASSERT_EQ(exact.feasible, best > -kInfinity);
      EXPECT_GE(upper_bound(context, one.problem, {.time_limit = 0.0}).bound, best);
      const BundleAnswer found = solve(context, one.problem, {.rounds = 6, .local_searches = 8});
      if (best == -kInfinity) {
        ++infeasible;
        EXPECT_FALSE(found.feasible);
        continue;
      }
      EXPECT_EQ(exact.value, best);
      EXPECT_TRUE(one.is_feasible(exact.items));
      EXPECT_TRUE(found.feasible);
      EXPECT_TRUE(one.is_feasible(found.items));
      EXPECT_EQ(found.value, best);
      ParetoProblem several{.rules = one.problem, .objectives = {{.name = "", .linear = one.problem.linear}}};
      for (const FrontSet& set : find_front(context, several, {.population = 32, .generations = 10}).sets) {
        EXPECT_TRUE(one.is_feasible(set.items));
      }
    }
  }
  EXPECT_GT(infeasible, 0);
  EXPECT_LT(infeasible, 30);
}

}  // namespace
}  // namespace sheaf::limit_sum_test
