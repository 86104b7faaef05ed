#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <thread>

#include "engine/optimize/problem.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf::solve_test {
namespace {

constexpr SearchMethod kMethods[] = {SearchMethod::portfolio, SearchMethod::genetic, SearchMethod::anneal,
                                     SearchMethod::greedy, SearchMethod::relaxed};

// Whole numbers, every kind of constraint.
BundleProblem full_problem(int64_t n, uint32_t seed) {
  std::mt19937 engine(seed);
  const auto dice = [&](int32_t low, int32_t high) {
    return std::uniform_int_distribution<int32_t>(low, high)(engine);
  };
  const auto id = [&] { return dice(0, static_cast<int32_t>(n) - 1); };
  BundleProblem problem;
  problem.n = n;
  for (int64_t i = 0; i < n; ++i) problem.linear.push_back(dice(-10, 50));
  problem.pair.assign(static_cast<size_t>(n * n), 0.0);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      problem.pair[static_cast<size_t>(i * n + j)] = problem.pair[static_cast<size_t>(j * n + i)] = dice(-20, 60);
    }
  }
  problem.limits.resize(2);
  for (WeightLimit& limit : problem.limits) {
    for (int64_t i = 0; i < n; ++i) limit.weights.push_back(dice(100, 2000) / 100.0);  // cents
  }
  problem.limits[0].upper = 40.0;
  problem.limits[1].lower = 25.0;
  problem.min_size = 2;
  problem.max_size = 5;
  for (int64_t i = 0; i < n; ++i) problem.category.push_back(dice(0, 4));
  problem.min_categories = 2;
  problem.category_ranges = {{.category = 1, .min_items = 1, .max_items = 2},
                             {.category = 3, .min_items = 0, .max_items = 1}};
  problem.must_have = {3};
  problem.forbidden = {5, 6};
  for (int k = 0; k < 6; ++k) {
    const int32_t a = id(), b = id();
    if (a != b) problem.forbidden_pairs.emplace_back(a, b);
  }
  problem.exclusive_groups = {{0, 1, 2, 4}, {7, 8, 9}};
  return problem;
}

BundleProblem small_problem() {
  BundleProblem problem;
  problem.n = 3;
  problem.linear = {1.0, 2.0, 4.0};
  problem.pair = {0, 8, 0, 8, 0, 16, 0, 16, 0};
  problem.category = {0, 0, 1};
  return problem;
}

// The best by trying all sets, with the engine's own definition of value and violation.
double optimum(const BundleProblem& problem) {
  double best = -std::numeric_limits<double>::infinity();
  std::vector<int32_t> items;
  const auto visit = [&](const auto& self, int32_t next) -> void {
    if (violation_of(problem, items) == 0.0) best = std::max(best, value_of(problem, items));
    if (static_cast<int64_t>(items.size()) == problem.max_size) return;
    for (int32_t j = next; j < problem.n; ++j) {
      items.push_back(j);
      self(self, j + 1);
      items.pop_back();
    }
  };
  visit(visit, 0);
  return best;
}

// The first of the seeds from `seed` on that has a feasible set.
BundleProblem feasible_problem(uint32_t seed) {
  BundleProblem problem = full_problem(14, seed);
  while (std::isinf(optimum(problem))) problem = full_problem(14, seed += 100);
  return problem;
}

class SolveTest : public test::OpTest {
 protected:
  SolveParams params(SearchMethod method = SearchMethod::portfolio) const {
    if (GetParam() != Backend::cpu) return {.method = method, .rounds = 2, .local_searches = 4, .iterations = 8};
    return {.method = method, .rounds = 4, .local_searches = 8, .iterations = 24};
  }
};

TEST_P(SolveTest, MeetsTheOptimumUnderAllConstraints) {
  for (const uint32_t seed : {1u, 2u, 3u}) {
    const BundleProblem problem = feasible_problem(seed);
    const double best = optimum(problem);
    const BundleAnswer answer = solve(context(), problem, params());
    EXPECT_TRUE(answer.feasible);
    EXPECT_EQ(answer.violation, 0.0);
    EXPECT_EQ(answer.value, best) << "seed " << seed;
    EXPECT_EQ(answer.value, value_of(problem, answer.items));
    EXPECT_TRUE(std::ranges::is_sorted(answer.items));
    EXPECT_GT(answer.evaluations, 0);
  }
}

// A target that nothing reaches: the rounds come one a call, and the islands go on as in one call.
TEST_P(SolveTest, IslandsGoOnFromCallToCall) {
  const BundleProblem problem = full_problem(14, 6);
  SolveParams whole = params();
  whole.rounds = 3;
  whole.islands = 3;
  whole.migrate_every = 1;
  SolveParams steps = whole;
  steps.target = 1e30;
  const BundleAnswer one = solve(context(), problem, whole), many = solve(context(), problem, steps);
  EXPECT_EQ(one.items, many.items);
  EXPECT_EQ(one.evaluations, many.evaluations);
  whole.islands = 1;
  EXPECT_GT(one.evaluations, 2 * solve(context(), problem, whole).evaluations);
}

// Two candidates that are worth much together and harm alone: best moves do not come by them.
TEST_P(SolveTest, IslandsBeginWithAKnownSet) {
  BundleProblem problem;
  problem.n = 200;
  problem.max_size = 3;
  problem.linear.assign(200, 1.0);
  problem.pair.assign(200 * 200, 0.0);
  problem.linear[120] = problem.linear[170] = -50.0;
  problem.pair[120 * 200 + 170] = problem.pair[170 * 200 + 120] = 1000.0;
  SolveParams params{.method = SearchMethod::greedy, .rounds = 2, .local_searches = 4, .islands = 2};
  EXPECT_EQ(solve(context(), problem, params).value, 3.0) << "the case is worth it";
  params.start = {120, 170};
  EXPECT_GE(solve(context(), problem, params).value, 900.0);
}

TEST_P(SolveTest, AnInterruptMayKeepTheBestSoFar) {
  if (GetParam() != Backend::cpu) return;
  const BundleProblem problem = full_problem(60, 8);
  SolveParams params{.time_limit = 60.0, .rounds = 0, .keep_on_interrupt = true};
  const auto interrupted = [&] {
    std::thread later([] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      request_interrupt();
    });
    BundleAnswer answer;
    try {
      answer = solve(context(), problem, params);
    } catch (const Interrupted&) {
      answer.items = {-1};
    }
    later.join();
    clear_interrupt();
    return answer;
  };
  const BundleAnswer answer = interrupted();
  EXPECT_TRUE(answer.interrupted);
  EXPECT_LT(answer.seconds, 30.0);
  EXPECT_EQ(answer.value, value_of(problem, answer.items));
  EXPECT_FALSE(answer.items.empty());
  params.keep_on_interrupt = false;
  EXPECT_EQ(interrupted().items, std::vector<int32_t>{-1});
}

TEST_P(SolveTest, EveryMethodAnswersAndRepeats) {
  const BundleProblem problem = feasible_problem(4);
  for (const SearchMethod method : kMethods) {
    const BundleAnswer answer = solve(context(), problem, params(method));
    EXPECT_TRUE(answer.feasible) << name_of(method);
    EXPECT_EQ(answer.method, method);
    EXPECT_EQ(solve(*make_context(1), problem, params(method)).items, answer.items) << name_of(method);
    EXPECT_EQ(search_method(name_of(method)), method);
  }
  EXPECT_THROW(search_method("tabu"), UsageError);
}

TEST_P(SolveTest, DecimalsFitTheirLimit) {
  BundleProblem problem;
  problem.n = 2;
  problem.linear = {1.0, 1.0};
  problem.pair.assign(4, 0.0);
  problem.limits = {{.name = "price", .weights = {2.99, 7.01}, .upper = 10.0}};
  EXPECT_EQ(solve(context(), problem, params()).items, (std::vector<int32_t>{0, 1}));
  problem.limits[0].upper = 9.99;
  EXPECT_EQ(solve(context(), problem, params()).items.size(), 1u);
  // No decimals make these whole: rounded up, so that what is found fits.
  problem.limits[0].weights = {1.0 / 3.0, 2.0 / 3.0};
  problem.limits[0].upper = 0.999999;
  const BundleAnswer answer = solve(context(), problem, params());
  EXPECT_EQ(answer.items.size(), 1u);
  EXPECT_TRUE(answer.feasible);
}

// The device works in float32; what it finds is judged in 64 bits.
TEST_P(SolveTest, WholeNumbersBeyondFloat32AreExact) {
  BundleProblem problem = small_problem();
  problem.linear = {1.0, 1.0, 1.0};
  problem.pair.assign(9, 0.0);
  problem.limits = {{.name = "", .weights = {1e9, 1.0, 1e9 + 1.0}, .upper = 1e9}};
  EXPECT_EQ(solve(context(), problem, params()).value, 1.0);
  problem.limits[0].upper = 1e9 + 2.0;
  EXPECT_EQ(solve(context(), problem, params()).value, 2.0);
  // An equation that the rounded weights cannot meet.
  problem.limits[0] = {.name = "", .weights = {1e12 + 7, 1e12 - 5, 3.0}, .lower = 2e12 + 5, .upper = 2e12 + 5};
  EXPECT_EQ(solve(context(), problem, params()).items, (std::vector<int32_t>{0, 1, 2}));
  // Terms that are one number in float32.
  problem.limits.clear();
  problem.max_size = 1;
  problem.linear = {16777216.0, 16777217.0, 16777215.0};
  EXPECT_EQ(solve(context(), problem, params()).items, (std::vector<int32_t>{1}));
  problem.linear = {100000000.0, 100000001.0, 100000002.0};
  EXPECT_EQ(solve(context(), problem, params()).items, (std::vector<int32_t>{2}));
}

TEST_P(SolveTest, LowerBoundsHold) {
  BundleProblem problem = small_problem();
  problem.linear = {-1.0, -2.0, -4.0};
  problem.pair.assign(9, 0.0);
  problem.limits = {{.name = "", .weights = {1.0, 5.0, 9.0}, .lower = 6.0}};
  EXPECT_EQ(solve(context(), problem, params()).items, (std::vector<int32_t>{0, 1}));
}

TEST_P(SolveTest, AWarmStartIsNeverLost) {
  const BundleProblem problem = full_problem(40, 7);
  SolveParams good = params();
  good.rounds = 6;
  const BundleAnswer first = solve(context(), problem, good);
  SolveParams little = params(SearchMethod::anneal);
  little.rounds = 1;
  little.iterations = 1;
  little.start = first.items;
  EXPECT_GE(solve(context(), problem, little).value, first.value);
}

TEST_P(SolveTest, StopsAtTheTargetAndAtTheTimeLimit) {
  const BundleProblem problem = feasible_problem(1);
  SolveParams params = this->params();
  params.rounds = 1000;
  params.target = optimum(problem);
  EXPECT_EQ(solve(context(), problem, params).value, params.target);
  params.target = std::numeric_limits<double>::infinity();
  params.rounds = 0;
  params.time_limit = 0.01;
  EXPECT_TRUE(solve(context(), problem, params).feasible);
}

TEST_P(SolveTest, SaysWhatIsNearestWhenNothingIsFeasible) {
  BundleProblem problem = small_problem();
  problem.min_size = 3;
  problem.forbidden = {1};
  const BundleAnswer answer = solve(context(), problem, params());
  EXPECT_FALSE(answer.feasible);
  EXPECT_EQ(answer.items, (std::vector<int32_t>{0, 2}));
  EXPECT_EQ(answer.violation, 1.0);
}

SHEAF_ON_EVERY_BACKEND(SolveTest);

TEST(BundleProblem, ValueAndViolationByHand) {
  BundleProblem problem = small_problem();
  EXPECT_EQ(value_of(problem, {0, 1}), 11.0);
  EXPECT_EQ(value_of(problem, {2, 1, 0}), 31.0);
  EXPECT_EQ(violation_of(problem, {0, 1, 2}), 0.0);
  problem.max_size = 2;
  problem.min_categories = 2;
  problem.must_have = {2};
  problem.forbidden = {1};
  problem.forbidden_pairs = {{0, 1}, {1, 0}};
  problem.exclusive_groups = {{0, 1, 2}};
  problem.category_ranges = {{.category = 0, .min_items = 0, .max_items = 1}, {.category = 9, .min_items = 1}};
  problem.limits = {{.name = "", .weights = {3.0, 4.0, 5.0}, .lower = -1.0, .upper = 4.0}};
  // No must-have, a forbidden one, a missing category, the pair, one of the group too many, categories 0 and 9; 7 where
  // 4 is the maximum.
  EXPECT_EQ(violation_of(problem, {0, 1}), 7.0 + 3.0 / 4.0);
  problem.limits[0].lower = 4.0;
  EXPECT_EQ(violation_of(problem, {2}), 2.0 + 1.0 / 4.0);
}

TEST(BundleProblem, KnowsWholeNumbers) {
  BundleProblem problem = small_problem();
  EXPECT_TRUE(is_integral(problem));
  problem.linear[0] = 0.5;
  EXPECT_FALSE(is_integral(problem));
  problem.linear[0] = 0x1.0p24;
  EXPECT_TRUE(is_integral(problem));
  problem.linear[0] = 0x1.0p52;
  EXPECT_FALSE(is_integral(problem));
}

TEST(BundleProblem, RefusesWhatIsWrong) {
  const auto refused = [](auto change) {
    BundleProblem problem = small_problem();
    change(problem);
    try {
      problem.validate();
    } catch (const UsageError&) {
      return true;
    }
    return false;
  };
  EXPECT_FALSE(refused([](BundleProblem&) {}));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.n = 0; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.n = 257; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.linear.pop_back(); }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.linear[1] = std::numeric_limits<double>::quiet_NaN(); }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.pair[1] = 7.0; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.min_size = 2, p.max_size = 1; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.must_have = {3}; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.forbidden = {-1}; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.forbidden_pairs = {{1, 1}}; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.exclusive_groups = {{0, 0}}; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.category.clear(), p.min_categories = 1; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.category_ranges = {{.category = 0, .min_items = 2, .max_items = 1}}; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.category_ranges = {{.category = 0}, {.category = 0}}; }));
  EXPECT_TRUE(refused([](BundleProblem& p) { p.limits.resize(9); }));
  EXPECT_TRUE(refused([](BundleProblem& p) {
    p.limits = {{.name = "", .weights = {1, 1, 1}, .lower = 2.0, .upper = 1.0}};
  }));
  Context context;
  const BundleProblem problem = small_problem();
  EXPECT_THROW(solve(context, problem, {.rounds = 0}), UsageError);
  EXPECT_THROW(solve(context, problem, {.local_searches = 3}), UsageError);
  EXPECT_THROW(solve(context, problem, {.start = {3}}), UsageError);
}

// The ground truth: quadratic knapsacks with their best known values. One setting for all, a second for each on two
// threads.
TEST(Knapsacks, MeetTheBestKnownValues) {
  const char* data = std::getenv("SHEAF_DATA");
  const std::filesystem::path source = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  const auto folder = (data ? std::filesystem::path(data) : source.parent_path() / "shared" / "data") / "qkp";
  std::ifstream list(folder / "best_known.txt");
  if (!list) GTEST_SKIP() << "no " << folder << "; set SHEAF_DATA to the folder of the public data sets";
  std::string heading;
  std::getline(list, heading);
  Context context({}, {.n_threads = 2});
  int64_t equal = 0, total = 0;
  for (int64_t n, density, instance, best; list >> n >> density >> instance >> best;) {
    const std::string sub = n == 100 ? "100" : std::to_string(n) + "_" + std::to_string(density);
    std::ifstream file(
        folder / sub /
        ("jeu_" + std::to_string(n) + "_" + std::to_string(density) + "_" + std::to_string(instance) + ".txt"));
    BundleProblem problem;
    if (!(file >> problem.n)) continue;
    problem.linear.resize(static_cast<size_t>(n));
    problem.pair.resize(static_cast<size_t>(n * n));
    problem.limits.resize(1);
    problem.limits[0].weights.resize(static_cast<size_t>(n));
    for (double& x : problem.linear) file >> x;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = i + 1; j < n; ++j) {
        double x = 0.0;
        file >> x;
        problem.pair[static_cast<size_t>(i * n + j)] = problem.pair[static_cast<size_t>(j * n + i)] = x;
      }
    }
    file >> problem.limits[0].upper;
    for (double& x : problem.limits[0].weights) file >> x;
    ASSERT_TRUE(file);
    const BundleAnswer answer =
        solve(context, problem, {.time_limit = 1.0, .rounds = 0, .target = static_cast<double>(best)});
    ++total;
    equal += answer.value == static_cast<double>(best);
    EXPECT_TRUE(answer.feasible) << n << " " << density << " " << instance;
    EXPECT_GE(answer.value, 0.9999 * static_cast<double>(best)) << n << " " << density << " " << instance;
  }
  EXPECT_GE(100 * equal, 97 * total) << equal << " of " << total;
  EXPECT_GT(total, 0);
}

}  // namespace
}  // namespace sheaf::solve_test
