#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "kernels/core/error.hpp"
#include "kernels/genetic/pareto.hpp"
#include "kernels/genetic/pareto_sort.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/pareto.hpp"

namespace sheaf::pareto_test {
namespace {

using genetic::ParetoParams;
using genetic::ParetoSet;

#if defined(SHEAF_TSAN)
constexpr bool kSlow = true;  // the executor's threads take a hundred times as long
#else
constexpr bool kSlow = false;
#endif

struct Result {
  int64_t population = 0;
  std::vector<ParetoSet> sets;
  std::vector<int32_t> front_size;

  const ParetoSet& set(int64_t p, int64_t rank) const { return sets[static_cast<size_t>(p * population + rank)]; }
};

bool equal(const ParetoSet& a, const ParetoSet& b) {
  return std::equal(a.mask, a.mask + genetic::kMaskWords, b.mask) && a.violation == b.violation &&
         std::equal(a.objective, a.objective + genetic::kMaxObjectives, b.objective);
}

bool operator==(const Result& a, const Result& b) {
  return a.front_size == b.front_size && std::ranges::equal(a.sets, b.sets, equal);
}

std::vector<int64_t> numbered(int64_t n) {
  std::vector<int64_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), int64_t{1000});
  return ids;
}

Result run(Context& context, const ref::ParetoCases& host, const ParetoParams& params,
           const std::vector<int64_t>& problem_ids) {
  const ref::DeviceParetoCases problems(context, host);
  const Buffer<int64_t> ids(context, problem_ids);
  const int64_t n = host.rules.n_problems;
  test::Guarded<ParetoSet> sets(context, n * params.population);
  test::Guarded<int32_t> front_size(context, n);
  genetic::ParetoArgs args = problems.args();
  args.params = params;
  args.problem_ids = ids.view();
  args.sets = sets.matrix(n, params.population);
  args.front_size = front_size.view();
  genetic::pareto(context, args);
  sets.expect_intact();
  front_size.expect_intact();
  return {params.population, sets.to_host(), front_size.to_host()};
}

Result run(Context& context, const ref::ParetoCases& host, const ParetoParams& params) {
  return run(context, host, params, numbered(host.rules.n_problems));
}

ref::ParetoCases plain_cases(int64_t n_problems, int32_t n, int32_t max_size, int32_t n_objectives, uint32_t seed) {
  return ref::pareto_cases(ref::plain_search_cases(n_problems, n, 1, 1, max_size, seed), n_objectives, seed + 1);
}
ref::ParetoCases full_cases(int64_t n_problems, int32_t n, int32_t max_size, int32_t n_objectives, uint32_t seed) {
  return ref::pareto_cases(ref::full_search_cases(n_problems, n, 2, max_size, seed), n_objectives, seed + 1);
}

// Objectives and violations by definition; the front is one; what follows it is dominated by a set of it, or is a copy.
void expect_true(const ref::ParetoCases& host, const Result& result) {
  for (int64_t p = 0; p < host.rules.n_problems; ++p) {
    const int64_t front = result.front_size[static_cast<size_t>(p)];
    ASSERT_GE(front, 1);
    ASSERT_LE(front, result.population);
    for (int64_t k = 0; k < result.population; ++k) {
      const ParetoSet& set = result.set(p, k);
      const std::vector<int32_t> ids = ref::ids_of(set);
      const ref::Point expected = ref::objectives(host, p, ids);
      for (int32_t m = 0; m < host.n_objectives; ++m) {
        EXPECT_EQ(set.objective[m], expected[static_cast<size_t>(m)]);
      }
      const double violation = ref::score(host.rules, p, ids).violation;
      EXPECT_NEAR(static_cast<double>(set.violation), violation, violation * 0x1.0p-23);
      bool beaten = false, copy = false;
      for (int64_t j = 0; j < front; ++j) {
        beaten = beaten || genetic::dominates(result.set(p, j), set, host.n_objectives);
        copy = copy || (j < k && equal(result.set(p, j), set));
      }
      EXPECT_EQ(beaten || copy, k >= front) << "problem " << p << ", rank " << k;
    }
  }
}

std::vector<ref::Point> feasible_front(const ref::ParetoCases& host, const Result& result, int64_t p) {
  std::vector<ref::Point> points;
  for (int64_t k = 0; k < result.front_size[static_cast<size_t>(p)]; ++k) {
    const ParetoSet& set = result.set(p, k);
    if (set.violation > 0.0f) continue;
    points.emplace_back(set.objective, set.objective + host.n_objectives);
  }
  std::ranges::sort(points);
  const auto repeated = std::ranges::unique(points);
  points.erase(repeated.begin(), repeated.end());
  return points;
}

class ParetoTest : public test::OpTest {
 protected:
  bool on_simt() const { return GetParam() == Backend::simt; }
  ParetoParams params() const {
    if (on_simt() && kSlow) return {.population = 8, .generations = 1};
    return on_simt() ? ParetoParams{.population = 16, .generations = 4}
                     : ParetoParams{.population = 64, .generations = 40};
  }
};

// C(16, 1 .. 4) sets; no front has more than 42 points.
TEST_P(ParetoTest, FindsTheWholeEnumeratedFront) {
  const bool small = on_simt();
  for (const int32_t n_objectives : {1, 2, 3, 4}) {
    const int64_t n_problems = small ? 1 : 4;
    const int32_t n = small ? 8 : 16, max_size = small ? 2 : 4;
    for (const ref::ParetoCases& host : {plain_cases(n_problems, n, max_size, n_objectives, 30),
                                         full_cases(n_problems, n, max_size, n_objectives, 40)}) {
      std::vector<std::vector<ref::Point>> exact;
      for (int64_t p = 0; p < n_problems; ++p) exact.push_back(ref::exact_front(host, p));
      for (uint64_t seed = 0; seed < (small ? 1u : 5u); ++seed) {
        ParetoParams params{.population = 128, .generations = 80, .seed = seed};
        if (small) params = {.population = 32, .generations = kSlow ? 2 : 6, .seed = seed};
        const Result result = run(context(), host, params);
        if (small && kSlow) continue;
        for (int64_t p = 0; p < n_problems; ++p) {
          EXPECT_EQ(feasible_front(host, result, p), exact[static_cast<size_t>(p)])
              << n_objectives << " objectives, problem " << p << ", seed " << seed;
        }
      }
    }
  }
}

TEST_P(ParetoTest, TellsTheTruth) {
  for (const int32_t n_objectives : {1, 2, 4}) {
    const ref::ParetoCases full = full_cases(2, 33, 6, n_objectives, 50);
    expect_true(full, run(context(), full, params()));
    const ref::ParetoCases plain = plain_cases(2, 20, 20, n_objectives, 51);
    expect_true(plain, run(context(), plain, params()));
  }
}

TEST_P(ParetoTest, BatchThreadsAndRunsDoNotMatter) {
  ParetoParams params = this->params();
  params.seed = 5;
  const ref::ParetoCases host = full_cases(5, 24, 5, 3, 52);
  const Result together = run(context(), host, params);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), host, params), together);
  for (int64_t p = 0; p < (on_simt() ? 1 : 5); ++p) {
    const Result alone = run(*make_context(2), ref::pick(host, p), params, {1000 + p});
    EXPECT_EQ(alone.front_size[0], together.front_size[static_cast<size_t>(p)]);
    EXPECT_TRUE(std::equal(alone.sets.begin(), alone.sets.end(), &together.set(p, 0), equal));
  }
  params.seed = 6;
  EXPECT_FALSE(run(context(), host, params) == together);
}

// Numbers whose sums round: the order of additions is the same.
TEST_P(ParetoTest, BackendsAgreeToTheLastBit) {
  Context cpu;
  ref::ParetoCases host = full_cases(2, 40, 6, 4, 53);
  for (double& x : host.linear) x *= 0.3;
  for (double& x : host.pair) x *= 0.7;
  const ParetoParams params{.population = kSlow ? 8 : 24, .generations = kSlow ? 1 : 5, .seed = 7};
  EXPECT_EQ(run(context(), host, params), run(cpu, host, params));
}

// One number in float32, so that item 0 would dominate all others.
TEST_P(ParetoTest, ObjectivesAreInDoublePrecision) {
  ref::ParetoCases host = plain_cases(1, 8, 1, 2, 53);
  host.rules.min_size = 1;
  host.rules.upper.assign(host.rules.upper.size(), 1e9);
  host.pair.assign(host.pair.size(), 0.0);
  for (size_t i = 0; i < 8; ++i) {
    host.linear[i] = 100000000.0 + static_cast<double>(i);
    host.linear[8 + i] = 8.0 - static_cast<double>(i);
  }
  const Result result = run(context(), host, {.population = 16, .generations = 2});
  EXPECT_EQ(result.front_size[0], 8);
  expect_true(host, result);
}

TEST_P(ParetoTest, InfeasibleProblemsEndAtTheLeastViolation) {
  // More must-haves than room.
  ref::ParetoCases host = plain_cases(1, 12, 4, 2, 54);
  host.rules.flags.assign(12, genetic::kMustHave);
  const ParetoParams enough{.population = 16, .generations = 5};
  expect_true(host, run(context(), host, enough));
  EXPECT_EQ(run(context(), host, enough).set(0, 0).violation, 8.0f);
  // Too few to choose from.
  host.rules.flags.assign(12, genetic::kForbidden);
  host.rules.flags[3] = 0;
  host.rules.min_size = 3;
  const Result few = run(context(), host, params());
  EXPECT_EQ(few.front_size[0], 1);
  EXPECT_EQ(ref::ids_of(few.set(0, 0)), std::vector<int32_t>{3});
  EXPECT_EQ(few.set(0, 0).violation, 2.0f);
}

TEST_P(ParetoTest, SmallestAndLargestShapes) {
  EXPECT_TRUE(run(context(), plain_cases(0, 3, 2, 2, 55), params()).sets.empty());
  for (const int32_t n : {1, 31, 32, 33, 256}) {
    if (on_simt() && kSlow && n > 33) continue;
    const ref::ParetoCases host = plain_cases(1, n, std::min(n, 64), 2, 56);
    expect_true(host, run(context(), host, {.population = 4, .generations = 2}));
  }
  if (kSlow) return;
  const ref::ParetoCases host = plain_cases(1, 12, 3, 2, 57);
  expect_true(host, run(context(), host, {.population = 256, .generations = on_simt() ? 1 : 5}));
  expect_true(host, run(context(), host, {.population = 16, .generations = 0}));
}

TEST_P(ParetoTest, ObjectivesThatAreNotFiniteAreInfeasible) {
  ref::ParetoCases host = plain_cases(1, 10, 3, 2, 58);
  for (size_t i = 0; i < 5; ++i) host.linear[i] = std::numeric_limits<double>::quiet_NaN();
  host.linear[5] = std::numeric_limits<double>::infinity();
  const Result result = run(context(), host, params());
  for (int64_t k = 0; k < result.front_size[0]; ++k) {
    EXPECT_EQ(result.set(0, k).violation, 0.0f);
    for (const int32_t id : ref::ids_of(result.set(0, k))) EXPECT_GT(id, 5);
  }
}

TEST_P(ParetoTest, RefusesWrongArguments) {
  const ref::ParetoCases host = full_cases(1, 10, 4, 2, 59);
  const auto refused = [&](auto change, const ParetoParams& params = {}) {
    ref::ParetoCases wrong = host;
    change(wrong);
    EXPECT_THROW(run(context(), wrong, params), UsageError);
  };
  const auto nothing = [](ref::ParetoCases&) {};
  refused(nothing, {.population = 3});
  refused(nothing, {.population = 257});
  refused(nothing, {.generations = -1});
  refused([](auto& c) { c.n_objectives = 0; });
  refused([](auto& c) { c.n_objectives = 5; });
  refused([](auto& c) { c.rules.max_size = 65; });
  refused([](auto& c) { c.rules.min_size = 5; });
  refused([](auto& c) { c.linear.clear(); });
  refused([](auto& c) {
    c.rules.min_categories = 0;
    c.rules.category.clear();
    c.rules.category_min.clear();
    c.rules.category_max.clear();
  });
  EXPECT_THROW(run(context(), host, {}, {1, 2}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(ParetoTest);

// ---- the steps of the sort ------------------------------------------------------------------------------------------

struct Slots {
  std::vector<unsigned char> memory;
  genetic::ParetoState state;

  /// Sets of random objectives, some infeasible, some copies.
  Slots(int32_t population, int32_t n_objectives, int32_t values, uint32_t seed)
      : memory(static_cast<size_t>(genetic::pareto_bytes(population))),
        state(genetic::pareto_state(memory.data(), population)) {
    std::mt19937 engine(seed);
    const auto dice = [&](int32_t most) { return std::uniform_int_distribution<int32_t>(0, most)(engine); };
    for (int32_t i = 0; i < state.n_slots; ++i) {
      ParetoSet& set = state.sets[i] = ParetoSet{};
      if (i > 0 && dice(9) == 0) {
        set = state.sets[dice(i - 1)];
        continue;
      }
      set.mask[0] = static_cast<uint32_t>(i + 1);
      for (int32_t m = 0; m < n_objectives; ++m) set.objective[m] = dice(values);
      set.violation = dice(5) == 0 ? static_cast<float>(dice(2)) : 0.0f;
    }
    for (int32_t i = 0; i < state.n_slots; ++i) genetic::compare_slot(state, n_objectives, i);
  }

  void open_words() const {
    for (int32_t w = 0; w < state.n_words; ++w) genetic::open_word(state, w);
  }
  void sort_all() const {
    open_words();
    for (int32_t level = 0; genetic::count_open(state) > 0; ++level) {
      for (int32_t i = 0; i < state.n_slots; ++i) genetic::join_front(state, level, i);
      open_words();
    }
  }
};

TEST(ParetoSort, FrontsEqualBruteForce) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const int32_t population = 4 + static_cast<int32_t>(seed), m = 1 + static_cast<int32_t>(seed % 4);
    const Slots slots(population, m, seed % 2 == 0 ? 5 : 1000, seed);
    slots.sort_all();
    const genetic::ParetoState& state = slots.state;
    // The longest chain of dominators above a set is its front.
    std::vector<int32_t> level(static_cast<size_t>(state.n_slots), -1);
    const auto depth = [&](const auto& self, int32_t i) -> int32_t {
      int32_t& known = level[static_cast<size_t>(i)];
      if (known >= 0) return known;
      int32_t most = 0;
      for (int32_t j = 0; j < state.n_slots; ++j) {
        const ParetoSet &a = state.sets[j], &b = state.sets[i];
        bool beats = a.violation < b.violation;
        if (a.violation == 0.0f && b.violation == 0.0f) {
          beats = ref::point_dominates({a.objective, a.objective + m}, {b.objective, b.objective + m});
        }
        if (beats) most = std::max(most, self(self, j) + 1);
      }
      return known = most;
    };
    for (int32_t i = 0; i < state.n_slots; ++i) {
      const bool copy = std::any_of(state.sets, state.sets + i,
                                    [&](const ParetoSet& s) { return s.mask[0] == state.sets[i].mask[0]; });
      EXPECT_EQ(state.level[i], copy ? genetic::kCopy : depth(depth, i)) << "seed " << seed << ", slot " << i;
    }
  }
}

TEST(ParetoSort, CrowdingIsTheTextbooks) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    const int32_t m = 1 + static_cast<int32_t>(seed % 4);
    const Slots slots(20, m, 12, seed);
    slots.sort_all();
    const genetic::ParetoState& state = slots.state;
    std::vector<float> expected(static_cast<size_t>(state.n_slots), 0.0f);
    for (int32_t level = 0; level < state.n_slots; ++level) {
      std::vector<int32_t> front;
      for (int32_t i = 0; i < state.n_slots; ++i) {
        if (state.level[i] == level) front.push_back(i);
      }
      for (int32_t k = 0; k < m && !front.empty(); ++k) {
        const auto value = [&](int32_t i) { return state.sets[i].objective[k]; };
        std::ranges::stable_sort(front, std::ranges::less{}, value);
        const double range = value(front.back()) - value(front.front());
        for (size_t at = 0; at < front.size(); ++at) {
          float& sum = expected[static_cast<size_t>(front[at])];
          if (at == 0 || at + 1 == front.size()) {
            sum = std::numeric_limits<float>::infinity();
          } else if (range > 0.0) {
            sum += static_cast<float>((value(front[at + 1]) - value(front[at - 1])) / range);
          }
        }
        std::ranges::sort(front);
      }
    }
    std::vector<int32_t> order(static_cast<size_t>(state.n_slots));
    for (int32_t i = 0; i < state.n_slots; ++i) {
      state.crowding[i] = genetic::crowding_of(state, m, i);
      EXPECT_EQ(state.crowding[i], expected[static_cast<size_t>(i)]) << "seed " << seed << ", slot " << i;
      order[static_cast<size_t>(i)] = i;
    }
    std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
      return state.level[a] != state.level[b] ? state.level[a] < state.level[b] : state.crowding[a] > state.crowding[b];
    });
    for (int32_t i = 0; i < state.n_slots; ++i) genetic::place_slot(state, i);
    EXPECT_TRUE(std::equal(order.begin(), order.end(), state.order));
  }
}

}  // namespace
}  // namespace sheaf::pareto_test
