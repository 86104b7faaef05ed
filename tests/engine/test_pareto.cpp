// Fronts of several objectives, and their hypervolume.

#include <algorithm>
#include <limits>
#include <random>

#include "engine/optimize/hypervolume.hpp"
#include "engine/optimize/pareto.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/pareto.hpp"

namespace sheaf::front_test {
namespace {

using Points = std::vector<std::vector<double>>;

/// Revenue, conversion, stock and diversity over n candidates of four categories, one limit, whole numbers.
ParetoProblem shop(int64_t n, uint32_t seed) {
  std::mt19937 engine(seed);
  const auto dice = [&](int32_t low, int32_t high) {
    return static_cast<double>(std::uniform_int_distribution<int32_t>(low, high)(engine));
  };
  ParetoProblem problem;
  problem.rules.n = n;
  problem.rules.min_size = 2;
  problem.rules.max_size = 4;
  problem.rules.limits = {{.name = "price", .weights = {}, .upper = 40.0}};
  problem.objectives = {{.name = "revenue"},
                        {.name = "conversion"},
                        {.name = "diversity", .category_value = 1.0},
                        {.name = "stock", .maximize = false, .reference = 60.0}};
  problem.objectives[1].pair.assign(static_cast<size_t>(n * n), 0.0);
  for (int64_t i = 0; i < n; ++i) {
    problem.rules.limits[0].weights.push_back(dice(1, 20));
    problem.rules.category.push_back(static_cast<int32_t>(i % 4));
    problem.objectives[0].linear.push_back(dice(1, 30));
    problem.objectives[3].linear.push_back(dice(0, 30));
    for (int64_t j = 0; j < i; ++j) {
      const double bond = dice(0, 9);
      problem.objectives[1].pair[static_cast<size_t>(i * n + j)] = bond;
      problem.objectives[1].pair[static_cast<size_t>(j * n + i)] = bond;
    }
  }
  problem.rules.forbidden_pairs = {{0, 1}};
  return problem;
}

/// By trying every set: the front's points, maximised.
Points exact_front(const ParetoProblem& problem) {
  Points all, front;
  std::vector<int32_t> items;
  const auto visit = [&](const auto& self, int32_t next) -> void {
    if (violation_of(problem.rules, items) == 0.0) {
      std::vector<double>& point = all.emplace_back();
      for (const Objective& o : problem.objectives) {
        point.push_back((o.maximize ? 1.0 : -1.0) * value_of(problem.rules, o, items));
      }
    }
    if (static_cast<int64_t>(items.size()) == problem.rules.max_size) return;
    for (int32_t j = next; j < problem.rules.n; ++j) {
      items.push_back(j);
      self(self, j + 1);
      items.pop_back();
    }
  };
  visit(visit, 0);
  std::ranges::sort(all, std::ranges::greater{});
  for (const auto& point : all) {
    const bool beaten = std::ranges::any_of(
        front, [&](const auto& other) { return other == point || ref::point_dominates(other, point); });
    if (!beaten) front.push_back(point);
  }
  return front;
}

class FrontTest : public test::OpTest {
 protected:
  FrontParams params() const {
    if (GetParam() == Backend::cpu) return {.population = 256, .generations = 60};
    return {.population = 16, .generations = 2};
  }
};

// C(14, 2 .. 4) sets; fronts of up to 90 points: at least 99.9 % of the hypervolume, and never more.
TEST_P(FrontTest, HypervolumeIsTheExactFronts) {
  for (uint32_t seed = 0; seed < (GetParam() == Backend::cpu ? 5u : 1u); ++seed) {
    const ParetoProblem problem = shop(14, seed);
    const Points exact = exact_front(problem);
    FrontParams params = this->params();
    params.seed = seed;
    const Front front = find_front(context(), problem, params);
    ASSERT_TRUE(front.feasible);
    const std::vector<double> reference{0.0, 0.0, 0.0, -60.0};
    const double most = hypervolume(exact, reference);
    EXPECT_LE(front.hypervolume, most * (1.0 + 1e-12));
    if (GetParam() == Backend::cpu) {
      EXPECT_GE(front.hypervolume, 0.999 * most) << "seed " << seed;
    }
    EXPECT_GT(front.hypervolume, 0.0);
    for (const FrontSet& set : front.sets) {
      EXPECT_EQ(violation_of(problem.rules, set.items), 0.0);
      for (size_t m = 0; m < 4; ++m) {
        EXPECT_EQ(set.values[m], value_of(problem.rules, problem.objectives[m], set.items));
      }
    }
    EXPECT_EQ(find_front(*make_context(1), problem, params).hypervolume, front.hypervolume);
  }
}

// Values that are one number in float32, of sets that do not beat each other.
TEST_P(FrontTest, ValuesThatFloat32CannotTellApartAreKept) {
  ParetoProblem problem;
  problem.rules.n = 12;
  problem.rules.min_size = problem.rules.max_size = 1;
  problem.objectives = {{.name = "big"}, {.name = "small"}};
  for (int i = 0; i < 12; ++i) {
    problem.objectives[0].linear.push_back(100000000.0 + i);
    problem.objectives[1].linear.push_back(12.0 - i);
  }
  const Front front = find_front(context(), problem, {.population = 16, .generations = 4});
  ASSERT_EQ(front.sets.size(), 12u);
  EXPECT_EQ(front.sets[0].values, (std::vector<double>{100000011.0, 1.0}));
  EXPECT_EQ(front.sets[11].values, (std::vector<double>{100000000.0, 12.0}));
}

TEST_P(FrontTest, SaysWhenNothingIsFeasible) {
  ParetoProblem problem = shop(6, 1);
  problem.rules.must_have = {0, 1};
  const Front front = find_front(context(), problem, params());
  EXPECT_FALSE(front.feasible);
  EXPECT_TRUE(front.sets.empty());
  EXPECT_EQ(front.violation, 1.0);
  EXPECT_EQ(front.hypervolume, 0.0);
}

SHEAF_ON_EVERY_BACKEND(FrontTest);

TEST(ParetoProblem, ValuesByHand) {
  const ParetoProblem problem = shop(6, 2);
  const Objective conversion = problem.objectives[1];
  EXPECT_EQ(value_of(problem.rules, problem.objectives[2], {0, 1, 4}), 2.0);
  EXPECT_EQ(value_of(problem.rules, conversion, {0, 2, 5}),
            conversion.pair[2] + conversion.pair[5] + conversion.pair[17]);
  EXPECT_EQ(value_of(problem.rules, problem.objectives[0], {3}), problem.objectives[0].linear[3]);
}

TEST(ParetoProblem, RefusesWhatIsWrong) {
  Context context;
  const auto refused = [&](auto change, const FrontParams& params = {.generations = 0}) {
    ParetoProblem problem = shop(6, 3);
    change(problem);
    EXPECT_THROW(find_front(context, problem, params), UsageError);
  };
  const auto nothing = [](ParetoProblem&) {};
  refused(nothing, {.population = 3});
  refused(nothing, {.generations = -1});
  refused([](ParetoProblem& p) { p.objectives.clear(); });
  refused([](ParetoProblem& p) { p.objectives.resize(5); });
  refused([](ParetoProblem& p) { p.objectives[0].linear.pop_back(); });
  refused([](ParetoProblem& p) { p.objectives[1].pair[1] += 1.0; });
  refused([](ParetoProblem& p) { p.rules.category.clear(); });
  refused([](ParetoProblem& p) { p.objectives[0].reference = std::numeric_limits<double>::infinity(); });
  refused([](ParetoProblem& p) { p.rules.limits[0].weights.pop_back(); });
}

TEST(Hypervolume, ByHand) {
  EXPECT_EQ(hypervolume({}, {0, 0}), 0.0);
  EXPECT_EQ(hypervolume({{3}, {5}}, {1}), 4.0);
  EXPECT_EQ(hypervolume({{1, 3}, {2, 2}, {3, 1}}, {0, 0}), 6.0);
  EXPECT_EQ(hypervolume({{1, 3}, {1, 3}, {9, 0}}, {0, 0}), 3.0);  // a copy; one not above the reference
  EXPECT_EQ(hypervolume({{2, 1, 1}, {1, 2, 1}, {1, 1, 2}}, {0, 0, 0}), 4.0);
}

// Whole numbers: both are exact.
TEST(Hypervolume, EqualsInclusionAndExclusion) {
  std::mt19937 engine(1);
  for (size_t m = 1; m <= 4; ++m) {
    for (int trial = 0; trial < 30; ++trial) {
      Points points(1 + static_cast<size_t>(trial) % 12);
      for (auto& point : points) {
        for (size_t k = 0; k < m; ++k) point.push_back(std::uniform_int_distribution<int32_t>(-2, 9)(engine));
      }
      const std::vector<double> reference(m, -1.0);
      EXPECT_EQ(hypervolume(points, reference), ref::hypervolume(points, reference));
    }
  }
}

}  // namespace
}  // namespace sheaf::front_test
