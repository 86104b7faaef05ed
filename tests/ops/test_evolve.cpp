#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/genetic/evaluate_sets.hpp"
#include "kernels/genetic/evolve.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/genetic.hpp"

namespace sheaf {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Result {
  std::vector<int32_t> sets;
  std::vector<float> value, violation, history;
  bool operator==(const Result&) const = default;

  std::vector<int32_t> set(int64_t p) const {
    std::vector<int32_t> members(sets.begin() + 16 * p, sets.begin() + 16 * (p + 1));
    while (!members.empty() && members.back() == -1) members.pop_back();
    return members;
  }
};

std::vector<int64_t> numbered(int64_t n) {
  std::vector<int64_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), int64_t{1000});
  return ids;
}

Result run(Context& context, const ref::HostProblems& host, const genetic::EvolveParams& params,
           const std::vector<int64_t>& ids) {
  const ref::DeviceProblems problems(context, host);
  const Buffer<int64_t> problem_ids(context, ids);
  const int64_t n = host.n_problems;
  test::Guarded<int32_t> sets(context, n * 16);
  test::Guarded<float> value(context, n), violation(context, n), history(context, n * params.generations);
  genetic::evolve(context, {.problems = problems.view(),
                            .params = params,
                            .problem_ids = problem_ids.view(),
                            .best_set = sets.matrix(n, 16),
                            .best_value = value.view(),
                            .best_violation = violation.view(),
                            .history = history.matrix(n, params.generations)});
  sets.expect_intact();
  value.expect_intact();
  violation.expect_intact();
  history.expect_intact();
  return {sets.to_host(), value.to_host(), violation.to_host(), history.to_host()};
}

Result run(Context& context, const ref::HostProblems& host, const genetic::EvolveParams& params = {}) {
  return run(context, host, params, numbered(host.n_problems));
}

class EvolveTest : public test::OpTest {
 protected:
  /// The executor runs a thread at a time.
  int64_t fewer_on_simt(int64_t n) const { return GetParam() == Backend::simt ? n / 20 : n; }
};

// Must-haves, forbidden ones, budgets that bind and categories, all on.
TEST_P(EvolveTest, FindsTheOptimumOfSmallProblems) {
  const int64_t n = fewer_on_simt(50);
  int64_t found = 0, total = 0, feasible = 0;
  for (const int64_t n_candidates : {5, 9, 12, 14}) {
    const ref::HostProblems host =
        ref::random_problems(n, n_candidates, 2, 5, 3, static_cast<uint32_t>(60 + n_candidates));
    const Result result = run(context(), host);
    for (int64_t p = 0; p < n; ++p) {
      const ref::Evaluation best = ref::optimum(host, p);
      const auto place = static_cast<size_t>(p);
      ++total;
      if (best.violation == 0.0) {
        ++feasible;
        EXPECT_EQ(result.violation[place], 0.0f) << "a feasible set exists: C " << n_candidates << ", problem " << p;
        if (result.violation[place] == 0.0f && result.value[place] == best.value) ++found;
      } else {
        EXPECT_GT(result.violation[place], 0.0f);
        if (std::abs(result.violation[place] - best.violation) <= best.violation * 0x1.0p-23) ++found;
      }
    }
  }
  EXPECT_GE(100 * found, 99 * total) << found << " of " << total;
  EXPECT_GT(feasible, total / 2) << "the problems are worth solving";
}

TEST_P(EvolveTest, ReportsWhatEvaluationSays) {
  const ref::HostProblems host = ref::random_problems(fewer_on_simt(40), 40, 2, 6, 2, 70);
  const Result result = run(context(), host);
  const ref::DeviceProblems problems(context(), host);
  const Buffer<int32_t> sets(context(), result.sets);
  Buffer<float> value(context(), host.n_problems), violation(context(), host.n_problems);
  genetic::evaluate_sets(context(), {.problems = problems.view(),
                                     .n_sets = 1,
                                     .sets = sets.view(),
                                     .value = value.view(),
                                     .violation = violation.view()});
  EXPECT_EQ(value.to_host(), result.value);
  EXPECT_EQ(violation.to_host(), result.violation);
  for (int64_t p = 0; p < host.n_problems; ++p) {
    const ref::Evaluation expected = ref::evaluate(host, p, result.set(p));
    EXPECT_EQ(result.value[static_cast<size_t>(p)], expected.value);
    EXPECT_NEAR(result.violation[static_cast<size_t>(p)], expected.violation, expected.violation * 0x1.0p-23);
    const std::vector<int32_t> set = result.set(p);
    EXPECT_TRUE(std::is_sorted(set.begin(), set.end()));
    EXPECT_EQ(std::adjacent_find(set.begin(), set.end()), set.end());
  }
}

TEST_P(EvolveTest, HistoryNeverFallsAndEndsAtMostAtTheResult) {
  const ref::HostProblems host = ref::random_problems(fewer_on_simt(40), 30, 2, 5, 3, 71);
  const genetic::EvolveParams params{.population = 33, .generations = 25};
  const Result result = run(context(), host, params);
  for (size_t p = 0; p < static_cast<size_t>(host.n_problems); ++p) {
    const auto begin = result.history.begin() + static_cast<int64_t>(p) * params.generations;
    EXPECT_TRUE(std::is_sorted(begin, begin + params.generations));
    if (result.violation[p] == 0.0f) {
      EXPECT_LE(begin[params.generations - 1], result.value[p]);
    }
  }
}

TEST_P(EvolveTest, BatchThreadsAndRunsDoNotMatter) {
  const ref::HostProblems host = ref::random_problems(6, 20, 2, 4, 2, 72);
  const genetic::EvolveParams params{.population = 20, .generations = 10, .seed = 5};
  const Result together = run(context(), host, params);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), host, params), together);
  for (int64_t p = 0; p < host.n_problems; ++p) {
    const ref::HostProblems one = ref::pick(host, p);
    const Result alone = run(context(), one, params, {1000 + p});
    EXPECT_EQ(alone.set(0), together.set(p));
    EXPECT_EQ(alone.value[0], together.value[static_cast<size_t>(p)]);
  }
}

TEST_P(EvolveTest, BackendsAgreeToTheLastBit) {
  const ref::HostProblems host = ref::random_problems(5, 24, 2, 5, 3, 73);
  const genetic::EvolveParams params{.population = 40, .generations = 12, .seed = 6};
  Context cpu;
  EXPECT_EQ(run(context(), host, params), run(cpu, host, params));
}

TEST_P(EvolveTest, SmallestAndLargestShapes) {
  const Result none = run(context(), ref::blank_problems(0, 3, 1, 2));
  EXPECT_TRUE(none.sets.empty());
  ref::HostProblems host = ref::random_problems(2, 256, 3, 16, 4, 74);
  host.budget = {kInfinity, 60.0f};
  for (const genetic::EvolveParams params : {genetic::EvolveParams{.population = 4, .generations = 1, .elite = 1},
                                             genetic::EvolveParams{.population = 256, .generations = 2}}) {
    const Result result = run(context(), host, params);
    for (int64_t p = 0; p < 2; ++p)
      EXPECT_EQ(result.value[static_cast<size_t>(p)], ref::evaluate(host, p, result.set(p)).value);
  }
}

TEST_P(EvolveTest, MoreMustHavesThanRoom) {
  ref::HostProblems host = ref::blank_problems(1, 20, 2, 16);
  host.flags.assign(20, genetic::kMustHave);
  const Result full = run(context(), host);
  EXPECT_EQ(full.violation[0], 4.0f);
  EXPECT_EQ(full.set(0).size(), 16u);
  host.max_size = 3;
  EXPECT_EQ(run(context(), host).violation[0], 17.0f);
}

TEST_P(EvolveTest, FewerAllowedThanNeeded) {
  ref::HostProblems host = ref::blank_problems(2, 6, 4, 5);
  host.flags.assign(12, genetic::kForbidden);
  host.flags[2] = host.flags[4] = 0;
  const Result result = run(context(), host);
  EXPECT_EQ(result.violation, (std::vector<float>{2.0f, 4.0f}));
  EXPECT_EQ(result.set(0), (std::vector<int32_t>{2, 4}));
  EXPECT_TRUE(result.set(1).empty()) << "nothing is allowed";
  for (const float value : result.history) EXPECT_EQ(value, -kInfinity);
}

TEST_P(EvolveTest, OneCandidate) {
  const Result result = run(context(), ref::blank_problems(1, 1, 2, 4));
  EXPECT_EQ(result.violation[0], 1.0f);
  EXPECT_EQ(result.set(0), (std::vector<int32_t>{0}));
}

TEST_P(EvolveTest, BudgetBelowTheCheapest) {
  ref::HostProblems host = ref::blank_problems(1, 12, 2, 4);
  for (size_t i = 0; i < 12; ++i) host.price[i] = static_cast<float>(10 + i);
  host.budget[0] = 5.0f;
  const Result result = run(context(), host);
  EXPECT_EQ(result.violation[0], static_cast<float>(ref::optimum(host, 0).violation));
  EXPECT_GT(result.violation[0], 0.0f);
}

TEST_P(EvolveTest, MoreCategoriesThanThereAre) {
  ref::HostProblems host = ref::blank_problems(1, 10, 2, 4);
  for (size_t i = 0; i < 10; ++i) host.category[i] = static_cast<int32_t>(i % 3);
  host.min_categories = 5;
  const Result result = run(context(), host);
  EXPECT_EQ(result.violation[0], 2.0f);
}

TEST_P(EvolveTest, MustHaveThatIsForbidden) {
  ref::HostProblems host = ref::blank_problems(1, 5, 1, 3);
  host.flags[1] = genetic::kMustHave | genetic::kForbidden;
  EXPECT_EQ(run(context(), host).violation[0], 1.0f);
}

TEST_P(EvolveTest, NanDataEnds) {
  ref::HostProblems host = ref::random_problems(2, 10, 2, 4, 2, 75);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (size_t i = 0; i < 10; ++i) host.linear[i] = nan;
  for (size_t i = 10; i < 20; ++i) host.price[i] = nan;
  const Result result = run(context(), host);
  for (const int32_t id : result.sets) EXPECT_TRUE(id >= -1 && id < 10);
}

TEST_P(EvolveTest, RefusesWrongArguments) {
  ref::HostProblems host = ref::random_problems(1, 10, 2, 4, 2, 76);
  EXPECT_THROW(run(context(), host, {.population = 3}), UsageError);
  EXPECT_THROW(run(context(), host, {.population = 257}), UsageError);
  EXPECT_THROW(run(context(), host, {.tournament = 0}), UsageError);
  EXPECT_THROW(run(context(), host, {.elite = 64}), UsageError);
  EXPECT_THROW(run(context(), host, {.mutation_rate = 1.5f}), UsageError);
  EXPECT_THROW(run(context(), host, {}, {1, 2}), UsageError);
  host.min_size = 5;
  EXPECT_THROW(run(context(), host), UsageError);
}

SHEAF_ON_EVERY_BACKEND(EvolveTest);

}  // namespace
}  // namespace sheaf
