#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <random>

#include "kernels/core/error.hpp"
#include "kernels/genetic/search.hpp"
#include "kernels/genetic/search_kernel.hpp"
#include "kernels/genetic/search_pool.hpp"
#include "kernels/genetic/search_strategies.hpp"
#include "tests/ops/search_run.hpp"

namespace sheaf::search_test {
namespace {

#if defined(SHEAF_TSAN) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
class SearchTest : public test::OpTest {
 protected:
  bool on_simt() const { return GetParam() == Backend::simt; }
  /// The executor runs a thread at a time.
  SearchParams params(Strategy strategy = Strategy::portfolio) const {
    if (on_simt() && kSlow) return {.strategy = strategy, .local_searches = 2, .rounds = 2, .iterations = 2};
    return on_simt() ? SearchParams{.strategy = strategy, .local_searches = 4, .rounds = 2, .iterations = 8}
                     : SearchParams{.strategy = strategy, .local_searches = 8, .rounds = 4, .iterations = 32};
  }
};

// Values and violations of the pool, by definition; its order, copies last.
void expect_true(const ref::SearchCases& host, const Result& result) {
  for (int64_t p = 0; p < host.n_problems; ++p) {
    for (int64_t c = 0; c < result.local_searches; ++c) {
      const SearchSet& set = result.pool[static_cast<size_t>(p * result.local_searches + c)];
      const ref::SearchScore expected = ref::score(host, p, ref::ids_of(set));
      EXPECT_EQ(set.value, expected.value) << "problem " << p << ", set " << c;
      EXPECT_NEAR(set.violation, expected.violation, expected.violation * 0x1.0p-23);
      const SearchSet* first = &result.best(p);
      const bool copy =
          std::any_of(first, &set, [&](const SearchSet& a) { return genetic::compare_sets(a, set) == 0; });
      EXPECT_TRUE(copy || c == 0 || genetic::compare_sets((&set)[-1], set) > 0) << "problem " << p << ", set " << c;
    }
  }
}

TEST_P(SearchTest, FindsTheEnumeratedOptimumUnderAllConstraints) {
  struct Shape {
    int32_t n, min_size, max_size;
    int64_t n_problems;
  };
  std::vector<Shape> shapes{{64, 2, 4, 4}, {40, 3, 6, 3}, {32, 3, 8, 3}};
  if (kSanitized) shapes = {{64, 2, 4, 1}, {24, 3, 6, 2}};
  if (on_simt()) shapes = {{14, 2, 4, 2}};
  SearchParams params = this->params();
  if (on_simt()) params = {.local_searches = 4, .rounds = 2, .iterations = 8};
  int64_t found = 0, total = 0, feasible = 0;
  for (const Shape& shape : shapes) {
    const ref::SearchCases host = ref::full_search_cases(shape.n_problems, shape.n, shape.min_size, shape.max_size,
                                                         static_cast<uint32_t>(100 + shape.n));
    std::vector<ref::SearchScore> best;
    for (int64_t p = 0; p < shape.n_problems; ++p) best.push_back(ref::best_score(host, p));
    for (uint64_t seed = 0; seed < (on_simt() ? 1 : 10); ++seed) {
      params.seed = seed;
      const Result result = run(context(), host, params);
      expect_true(host, result);
      for (int64_t p = 0; p < shape.n_problems; ++p) {
        const ref::SearchScore& optimum = best[static_cast<size_t>(p)];
        ++total;
        feasible += optimum.violation == 0.0;
        const bool same_violation =
            std::abs(result.best(p).violation - optimum.violation) <= optimum.violation * 0x1.0p-23;
        found += same_violation && (optimum.violation > 0.0 || result.best(p).value == optimum.value);
      }
    }
  }
  EXPECT_GE(100 * found, 99 * total) << found << " of " << total;
  EXPECT_GE(2 * feasible, total) << "the problems are worth solving";
}

TEST_P(SearchTest, EveryStrategyTellsTheTruth) {
  for (const Strategy strategy : kStrategies) {
    for (const ref::SearchCases& host :
         {ref::plain_search_cases(2, 20, 0, 0, 20, 7), ref::plain_search_cases(2, 33, 1, 0, 33, 8),
          ref::full_search_cases(2, 31, 2, 5, 9)}) {
      if (on_simt() && kSlow && host.n_limits < 2) continue;
      const Result result = run(context(), host, params(strategy));
      expect_true(host, result);
      for (const int64_t evaluations : result.evaluations) EXPECT_GT(evaluations, 0);
    }
  }
}

TEST_P(SearchTest, HistoryNeverFallsAndEndsAtTheResult) {
  SearchParams params = this->params();
  params.rounds = on_simt() ? 3 : 12;
  params.iterations = 2;
  const ref::SearchCases host = ref::full_search_cases(3, 40, 3, 6, 10);
  const Result result = run(context(), host, params);
  expect_rising_history(result, host.n_problems, params.rounds);
}

TEST_P(SearchTest, BatchThreadsAndRunsDoNotMatter) {
  SearchParams params = this->params();
  params.seed = 5;
  const ref::SearchCases host = ref::full_search_cases(5, 20, 2, 4, 11);
  const Result together = run(context(), host, params);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), host, params), together);
  for (int64_t p = 0; p < (on_simt() ? 1 : host.n_problems); ++p) {
    const Result alone = run(context(), ref::pick(host, p), params, {1000 + p});
    const auto begin = together.pool.begin() + p * params.local_searches;
    EXPECT_TRUE(std::equal(alone.pool.begin(), alone.pool.end(), begin,
                           [](const SearchSet& a, const SearchSet& b) { return genetic::compare_sets(a, b) == 0; }));
  }
}

TEST_P(SearchTest, SeedsMatter) {
  SearchParams params = this->params(Strategy::greedy);
  const ref::SearchCases host = ref::plain_search_cases(1, 60, 1, 0, 60, 12);
  const Result first = run(context(), host, params);
  params.seed = 1;
  EXPECT_FALSE(run(context(), host, params) == first);
}

// Whole numbers: the executor's warps and the CPU's vectors make the same decisions.
TEST_P(SearchTest, BackendsAgreeToTheLastBit) {
  Context cpu;
  for (const Strategy strategy : kStrategies) {
    SearchParams params{.strategy = strategy, .local_searches = 5, .rounds = 2, .iterations = 10, .seed = 6};
    if (kSlow) params = {.strategy = strategy, .local_searches = 2, .rounds = 1, .iterations = 3, .seed = 6};
    for (const ref::SearchCases& host :
         {ref::plain_search_cases(2, 33, 1, 0, 33, 13), ref::plain_search_cases(1, 20, 2, 2, 9, 14),
          ref::full_search_cases(2, 24, 2, 5, 15)}) {
      EXPECT_EQ(run(context(), host, params), run(cpu, host, params)) << "strategy " << static_cast<int>(strategy);
    }
  }
}

TEST_P(SearchTest, RoundsMayComeInSeveralCalls) {
  const ref::SearchCases host = ref::full_search_cases(2, 24, 2, 5, 16);
  SearchParams params = this->params();
  params.rounds = 3;
  const Result whole = run(context(), host, params);
  params.rounds = 1;
  Result part = run(context(), host, params);
  params.first_round = 1;
  params.rounds = 2;
  part = run(context(), host, params, numbered(2), part.pool);
  for (size_t i = 0; i < whole.pool.size(); ++i) EXPECT_EQ(genetic::compare_sets(whole.pool[i], part.pool[i]), 0);
}

TEST_P(SearchTest, InfeasibleProblemsEndAtTheLeastViolation) {
  // More must-haves than room.
  ref::SearchCases host = ref::plain_search_cases(1, 20, 0, 2, 16, 17);
  host.flags.assign(20, genetic::kMustHave);
  EXPECT_EQ(run(context(), host, params()).best().violation, 4.0f);
  // Fewer candidates than needed.
  host.flags.assign(20, genetic::kForbidden);
  host.flags[3] = host.flags[7] = 0;
  host.min_size = 5;
  const Result few = run(context(), host, params());
  EXPECT_EQ(few.best().violation, 3.0f);
  EXPECT_EQ(ref::ids_of(few.best()), (std::vector<int32_t>{3, 7}));
  for (const float value : few.history) EXPECT_EQ(value, -std::numeric_limits<float>::infinity());
  // A must-have that is forbidden.
  host.min_size = 0;
  host.flags.assign(20, 0);
  host.flags[4] = genetic::kMustHave | genetic::kForbidden;
  EXPECT_EQ(run(context(), host, params()).best().violation, 1.0f);
  // More categories than there are.
  host.flags.clear();
  host.category.resize(20);
  for (size_t i = 0; i < 20; ++i) host.category[i] = static_cast<int32_t>(i % 3);
  host.min_categories = 5;
  EXPECT_EQ(run(context(), host, params()).best().violation, 2.0f);
  // The lightest candidate is too heavy.
  host = ref::plain_search_cases(1, 12, 1, 1, 4, 18);
  host.upper[0] = 0.0;
  const ref::SearchScore best = ref::best_score(host, 0);
  EXPECT_GT(best.violation, 0.0);
  EXPECT_EQ(run(context(), host, params()).best().violation, static_cast<float>(best.violation));
}

TEST_P(SearchTest, SmallestAndLargestShapes) {
  EXPECT_TRUE(run(context(), ref::plain_search_cases(0, 3, 1, 0, 3, 19), params()).pool.empty());
  for (const int32_t n : {1, 2, 31, 32, 33, 256}) {
    if (on_simt() && kSlow && n != 1 && n != 33) continue;
    SearchParams params = this->params();
    params.local_searches = n == 1 ? 1 : 3;
    params.iterations = 3;
    ref::SearchCases host = ref::plain_search_cases(1, n, 1, 0, n, 20);
    expect_true(host, run(context(), host, params));
    host = ref::plain_search_cases(1, n, 16, 0, n, 21);
    expect_true(host, run(context(), host, params));
  }
  if (on_simt() && kSlow) return;
  // Rows of 256 with everything on: pair terms do not fit shared memory.
  SearchParams params{.local_searches = 2, .rounds = 2, .iterations = 2};
  const ref::SearchCases host = ref::full_search_cases(1, 256, 3, 12, 22);
  expect_true(host, run(context(), host, params));
}

TEST_P(SearchTest, NoRoomAtAll) {
  ref::SearchCases host = ref::plain_search_cases(1, 10, 1, 0, 0, 23);
  EXPECT_TRUE(ref::ids_of(run(context(), host, params()).best()).empty());
  host.flags.assign(10, genetic::kForbidden);
  host.max_size = 10;
  EXPECT_TRUE(ref::ids_of(run(context(), host, params()).best()).empty());
}

TEST_P(SearchTest, NanTermsEnd) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Strategy strategy : kStrategies) {
    ref::SearchCases host = ref::plain_search_cases(1, 20, 1, 2, 6, 24);
    for (size_t i = 0; i < 10; ++i) host.linear[i] = nan;
    host.pair[15 * 20 + 16] = host.pair[16 * 20 + 15] = nan;
    const Result result = run(context(), host, params(strategy));
    for (const int32_t id : ref::ids_of(result.best())) EXPECT_LT(id, 20);
  }
}

TEST_P(SearchTest, RefusesWrongArguments) {
  const ref::SearchCases host = ref::plain_search_cases(1, 10, 1, 1, 4, 25);
  EXPECT_THROW(run(context(), host, {.local_searches = 0}), UsageError);
  EXPECT_THROW(run(context(), host, {.local_searches = 33}), UsageError);
  EXPECT_THROW(run(context(), host, {.rounds = 0}), UsageError);
  EXPECT_THROW(run(context(), host, {.iterations = 0}), UsageError);
  EXPECT_THROW(run(context(), host, {}, {1, 2}), UsageError);
  ref::SearchCases wrong = host;
  wrong.min_size = 5;
  EXPECT_THROW(run(context(), wrong, {}), UsageError);
  wrong = host;
  wrong.min_categories = 1;
  EXPECT_THROW(run(context(), wrong, {}), UsageError);
  wrong = host;
  wrong.upper.clear();
  EXPECT_THROW(run(context(), wrong, {}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(SearchTest);

// ---- the CPU's instruction sets -------------------------------------------------------------------------------------

TEST(SearchKernels, InstructionSetsAgreeToTheLastBit) {
  const genetic::cpu::SearchKernel* kernels[3];
  const int32_t n = genetic::cpu::usable_search_kernels(kernels, 3);
  Context context;
  // Not whole: what the order of sums could change.
  ref::SearchCases host = ref::full_search_cases(2, 50, 3, 8, 26);
  const std::vector<float> linear = test::random_floats(2 * 50, 27);
  host.linear.assign(linear.begin(), linear.end());
  for (float& x : host.pair) x *= 0.3f;
  for (const Strategy strategy : kStrategies) {
    const SearchParams params{.strategy = strategy, .local_searches = 4, .rounds = 3, .iterations = 40};
    std::vector<Result> results;
    for (int32_t k = 0; k < n; ++k) {
      setenv("SHEAF_SEARCH", kernels[k]->name, 1);
      results.push_back(run(context, host, params));
      EXPECT_EQ(results.back(), results.front()) << kernels[k]->name;
    }
    unsetenv("SHEAF_SEARCH");
  }
}

TEST(SearchKernels, RefusesAnUnknownInstructionSet) {
  setenv("SHEAF_SEARCH", "mmx", 1);
  EXPECT_THROW(genetic::cpu::search_kernel(), UsageError);
  unsetenv("SHEAF_SEARCH");
}

// ---- a local search by itself ---------------------------------------------------------------------------------------

/// One candidate at a time, in descending order: nothing may rest on the order.
struct ScalarLanes {
  using V = float;
  static float load(const float* values, int32_t j) { return values[j]; }
  static void store(float* values, int32_t j, float v) { values[j] = v; }
  static float times(float a, float b) { return a * b; }
  static int32_t bits(uint32_t word) { return __builtin_popcount(word); }
  static int32_t lowest(uint32_t word) { return __builtin_ctz(word); }
  static int32_t leading_zeros(uint32_t word) { return __builtin_clz(word); }
  static float ids(int32_t j) { return static_cast<float>(j); }
  static float of_mask(const uint32_t* mask, int32_t j) { return static_cast<float>(mask[j / 32] >> (j % 32) & 1u); }
  static float conflicts(const genetic::SearchView& view, int32_t i, int32_t j) {
    return of_mask(view.conflict_bits + i * genetic::kMaskWords, j);
  }
  template <class Body>
  static void lanes(int32_t stride, const Body& body) {
    for (int32_t j = stride - 1; j >= 0; --j) body(j);
  }
  template <class Body>
  static void leader(const Body& body) {
    body();
  }
  static void sync() {}
  template <class Body>
  static void members(const uint32_t* mask, const Body& body) {
    int32_t rank = 0;
    for (int32_t i = 0; i < genetic::kMaxCandidates; ++i) {
      if ((mask[i / 32] >> (i % 32) & 1u) != 0) body(rank++, i);
    }
  }
  static void reduce(float scores, float codes, float& score, float& code) {
    score = scores;
    code = codes;
  }
  static void draw(const genetic::LocalSearchJob& job, uint32_t block, uint32_t* four) {
    genetic::cpu::draw_four(job, block, four);
  }
};

/// A local search on a problem with every kind of rule but must-haves and forbidden candidates.
class World {
 public:
  static constexpr int32_t kN = 48, kLimits = genetic::kMaxLimits;
  using TestSearch = genetic::LocalSearch<ScalarLanes, kLimits, true>;

  explicit World(uint32_t seed) : host(ref::full_search_cases(1, kN, 3, 20, seed)) {
    host.flags.clear();
    for (size_t j = 0; j < kN; ++j) {
      category_[j] = static_cast<float>(std::ranges::find(host.category, host.category[j]) - host.category.begin());
      least_[j] = static_cast<float>(host.category_min[j]);
      most_[j] = static_cast<float>(host.category_max[j]);
    }
    view_.n = view_.stride = kN;
    view_.n_limits = host.n_limits;
    view_.min_size = host.min_size;
    view_.max_size = host.max_size;
    view_.min_categories = host.min_categories;
    view_.linear = host.linear.data();
    view_.pair = host.pair.data();
    view_.weight = host.weight.data();
    view_.upper = host.upper.data();
    view_.closed = closed_.data();
    view_.category = category_.data();
    view_.category_min = least_.data();
    view_.category_max = most_.data();
    view_.conflict_bits = host.conflict.data();
    view_.must = must_.data();
    view_.heaviest = heaviest_.data();
  }
  TestSearch search() { return {{}, view_, memory(), {}}; }
  genetic::LocalSearchMemory<kLimits> memory() {
    const auto array = [&](int64_t k) { return arrays_.data() + k * kN; };
    return {array(0),     array(1),      array(2),
            array(3),     array(4),      array(5),
            rows_.data(), masks_.data(), masks_.data() + genetic::kMaskWords};
  }
  std::vector<int32_t> ids(const TestSearch& search) const {
    SearchSet set{};
    std::copy_n(search.state.memory.mask, genetic::kMaskWords, set.mask);
    return ref::ids_of(set);
  }

  ref::SearchCases host;

 private:
  std::vector<float> closed_ = std::vector<float>(kN, 0.0f), category_ = closed_, least_ = closed_, most_ = closed_,
                     arrays_ = std::vector<float>(6 * kN), heaviest_ = std::vector<float>(3, 16.0f);
  std::vector<uint32_t> must_ = std::vector<uint32_t>(genetic::kMaskWords, 0),
                        masks_ = std::vector<uint32_t>(2 * genetic::kMaskWords, 0);
  std::vector<genetic::SwapRow<kLimits>> rows_ = std::vector<genetic::SwapRow<kLimits>>(kN + 1);
  genetic::SearchView view_;
};

TEST(LocalSearch, AMillionMovesLeaveWhatASumFromNothingSays) {
  World world(28);
  World::TestSearch search = world.search();
  auto& state = search.state;
  state.clear();
  std::mt19937 engine(29);
  constexpr int kMoves = kSanitized ? 50000 : 1000000;
  for (int move = 1; move <= kMoves; ++move) {
    const auto i = static_cast<int32_t>(engine() % World::kN);
    if (state.has(i)) {
      state.drop(i);
    } else {
      state.add(i);
    }
    if (move % (kMoves / 20) != 0) continue;
    const std::vector<int32_t> ids = world.ids(search);
    const ref::SearchScore expected = ref::score(world.host, 0, ids);
    ASSERT_EQ(state.value, expected.value) << "after " << move << " moves";
    ASSERT_NEAR(state.violation(), expected.violation, expected.violation * 0x1.0p-23);
    for (int32_t j = 0; j < World::kN; ++j) {
      double field = static_cast<double>(world.host.linear[static_cast<size_t>(j)]);
      for (const int32_t k : ids) {
        field += k == j ? 0.0 : static_cast<double>(world.host.pair[static_cast<size_t>(j * World::kN + k)]);
      }
      ASSERT_EQ(world.memory().h[j], field) << "field " << j << " after " << move << " moves";
    }
  }
}

// A judged move scores what the set after it does: its gain less the penalty, for adds, drops and swaps.
TEST(LocalSearch, TheBestMoveIsTheBestOfAllTried) {
  using Move = World::TestSearch::Move;
  int64_t swaps = 0;
  for (uint32_t seed = 30; seed < 60; ++seed) {
    World world(seed);
    World::TestSearch search = world.search();
    auto& state = search.state;
    state.clear();
    std::mt19937 engine(seed);
    for (uint32_t k = 0; k < seed % 22; ++k) {
      const auto i = static_cast<int32_t>(engine() % World::kN);
      if (!state.has(i)) state.add(i);
    }
    search.begin();
    search.penalties.set(state, 0x1.0p-4f);  // so that the value counts as much as the rules
    const float value = state.value;
    Move best;
    for (int32_t in = 0; in <= genetic::kNone; in += in == World::kN - 1 ? genetic::kNone - in : 1) {
      for (int32_t out = 0; out <= genetic::kNone; out += out == World::kN - 1 ? genetic::kNone - out : 1) {
        const bool adds = in != genetic::kNone, drops = out != genetic::kNone;
        if ((!adds && !drops) || (adds && state.has(in)) || (drops && !state.has(out))) continue;
        if (adds && !drops && state.size > world.host.max_size) continue;
        Move move{.in = in, .out = out};
        search.apply(move);
        move.score = state.value - value - search.penalties.of(state);
        search.apply({.in = out, .out = in});
        if (move.score > best.score) best = move;
      }
    }
    const Move found = genetic::best_move<false>(search, 0.0f);
    ASSERT_NEAR(found.score, best.score, std::abs(best.score) * 8 * 0x1.0p-24) << "seed " << seed;
    swaps += found.in != genetic::kNone && found.out != genetic::kNone;
  }
  EXPECT_GT(swaps, 5);
}

}  // namespace
}  // namespace sheaf::search_test
