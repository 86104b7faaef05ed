#include <limits>

#include "kernels/core/error.hpp"
#include "kernels/genetic/search_islands.hpp"
#include "tests/ops/search_run.hpp"

namespace sheaf::search_test {
namespace {

class SearchIslandsTest : public test::OpTest {
 protected:
  bool on_simt() const { return GetParam() == Backend::simt; }
  SearchParams params(Strategy strategy = Strategy::portfolio) const {
    SearchParams params{.strategy = strategy,
                        .local_searches = 5,
                        .rounds = 5,
                        .iterations = 6,
                        .islands = 3,
                        .migrate_every = 2,
                        .seed = 7};
    if (on_simt() && kSlow) params.local_searches = params.iterations = 2;
    return params;
  }
};

/// One call with the islands' own pools, which it reads where there are some and leaves behind.
Result run_islands(Context& context, const ref::SearchCases& host, const SearchParams& params,
                   std::vector<SearchSet>& island_pools) {
  const ref::DeviceSearchCases problems(context, host);
  const int64_t n = host.n_problems, width = int64_t{params.islands} * params.local_searches;
  const Buffer<int64_t> problem_ids(context, numbered(n));
  test::Guarded<SearchSet> pool(context, n * params.local_searches), islands(context, n * width);
  if (!island_pools.empty()) {
    context.copy_from_host(islands.data(), island_pools.data(), island_pools.size() * sizeof(SearchSet));
  }
  test::Guarded<int64_t> evaluations(context, std::vector<int64_t>(static_cast<size_t>(n), 0));
  genetic::search(context, {.problems = problems.view(),
                            .params = params,
                            .problem_ids = problem_ids.view(),
                            .pool = pool.matrix(n, params.local_searches),
                            .evaluations = evaluations.view(),
                            .history = {},
                            .island_pools = islands.matrix(n, width)});
  pool.expect_intact();
  islands.expect_intact();
  island_pools = islands.to_host();
  return {params.local_searches, pool.to_host(), evaluations.to_host(), {}};
}

/// FNV-1a of all bits.
uint64_t checksum(const Result& result) {
  uint64_t sum = 14695981039346656037u;
  const auto take = [&](const auto& values) {
    for (const auto& value : values) {
      unsigned char bytes[sizeof value];
      std::memcpy(bytes, &value, sizeof value);
      for (const unsigned char byte : bytes) sum = (sum ^ byte) * 1099511628211u;
    }
  };
  take(result.pool);
  take(result.evaluations);
  take(result.history);
  return sum;
}

// Noted from the search before it knew islands; problems of whole numbers.
TEST_P(SearchIslandsTest, OneIslandGivesTheBitsOfASearchWithoutIslands) {
  if (on_simt() && kSlow) return;
  const uint64_t expected[] = {3450863319605941808u, 12607181003718751813u, 1002996799790671608u, 12064449598334428129u,
                               16361544875011513552u};
  for (const Strategy strategy : kStrategies) {
    const SearchParams params{.strategy = strategy, .local_searches = 5, .rounds = 3, .iterations = 10, .seed = 7};
    const Result result = run(context(), ref::full_search_cases(2, 24, 2, 5, 40), params);
    EXPECT_EQ(checksum(result), expected[static_cast<size_t>(strategy)]) << "strategy " << static_cast<int>(strategy);
  }
}

TEST_P(SearchIslandsTest, BackendsAgreeToTheLastBit) {
  Context cpu;
  for (const Strategy strategy : kStrategies) {
    if (on_simt() && kSlow && strategy != Strategy::anneal) continue;
    for (const ref::SearchCases& host :
         {ref::plain_search_cases(1, 33, 1, 0, 33, 41), ref::full_search_cases(2, 24, 2, 5, 42)}) {
      EXPECT_EQ(run(context(), host, params(strategy)), run(cpu, host, params(strategy)))
          << "strategy " << static_cast<int>(strategy);
    }
  }
}

TEST_P(SearchIslandsTest, BatchThreadsAndRunsDoNotMatter) {
  if (on_simt() && kSlow) return;
  const ref::SearchCases host = ref::full_search_cases(4, 20, 2, 4, 43);
  const Result together = run(context(), host, params());
  for (const int threads : {1, 2, 5}) EXPECT_EQ(run(*make_context(threads), host, params()), together);
  for (int64_t p = 0; p < (on_simt() ? 1 : host.n_problems); ++p) {
    const Result alone = run(context(), ref::pick(host, p), params(), {1000 + p});
    const auto begin = together.pool.begin() + p * together.local_searches;
    EXPECT_TRUE(std::equal(alone.pool.begin(), alone.pool.end(), begin, same_set)) << "problem " << p;
  }
}

// More islands than one launch takes at a time.
TEST_P(SearchIslandsTest, ManyIslandsGoInSeveralLaunches) {
  if (on_simt() && kSlow) return;
  const SearchParams params{
      .strategy = Strategy::greedy, .local_searches = 1, .rounds = 1, .iterations = 1, .islands = 9000};
  const ref::SearchCases host = ref::plain_search_cases(2, 8, 1, 0, 3, 44);
  Context cpu;
  EXPECT_EQ(run(context(), host, params), run(cpu, host, params));
}

// The draws of islands differ, and those of the first are those of a search without islands.
TEST_P(SearchIslandsTest, IslandsHaveDrawsOfTheirOwn) {
  const ref::SearchCases host = ref::plain_search_cases(1, 60, 1, 0, 60, 45);
  SearchParams params{.strategy = Strategy::greedy,
                      .local_searches = 8,
                      .rounds = 1,
                      .iterations = 2,
                      .islands = 3,
                      .migrate_every = 0};
  std::vector<SearchSet> pools;
  run_islands(context(), host, params, pools);
  params.islands = 1;
  const std::vector<SearchSet> alone = run(context(), host, params).pool;
  const auto n_searches = static_cast<std::ptrdiff_t>(params.local_searches);
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), pools.begin(), same_set));
  EXPECT_FALSE(std::equal(alone.begin(), alone.end(), pools.begin() + n_searches, same_set));
  EXPECT_FALSE(
      std::equal(pools.begin() + n_searches, pools.begin() + 2 * n_searches, pools.begin() + 2 * n_searches, same_set));
}

TEST_P(SearchIslandsTest, ThePoolHoldsTheBestDifferentSetsOfAllIslands) {
  const ref::SearchCases host = ref::full_search_cases(2, 24, 2, 5, 46);
  const SearchParams params = this->params();
  std::vector<SearchSet> pools;
  const Result result = run_islands(context(), host, params, pools);
  const auto width = static_cast<std::ptrdiff_t>(params.islands * params.local_searches);
  for (int64_t p = 0; p < host.n_problems; ++p) {
    std::vector<SearchSet> all(pools.begin() + p * width, pools.begin() + (p + 1) * width);
    std::ranges::sort(all, [](const auto& a, const auto& b) { return genetic::compare_sets(a, b) > 0; });
    all.erase(std::unique(all.begin(), all.end(), same_set), all.end());
    ASSERT_GE(std::ssize(all), params.local_searches) << "the case is worth merging";
    const auto begin = result.pool.begin() + p * params.local_searches;
    EXPECT_TRUE(std::equal(begin, begin + params.local_searches, all.begin(), same_set)) << "problem " << p;
  }
}

// Three sets in all, of more local searches than that; each island knows another one.
TEST_P(SearchIslandsTest, TooFewDifferentSetsEndWithTheBestAgain) {
  ref::SearchCases host = ref::plain_search_cases(1, 3, 0, 1, 1, 47);
  host.linear = {1.0f, 3.0f, 2.0f};
  SearchParams params = this->params();
  params.first_round = params.rounds = 1;
  std::vector<SearchSet> pools;
  for (uint32_t k = 0; k < 3; ++k) {
    const SearchSet set{.mask = {1u << k}, .value = host.linear[k], .violation = 0.0f};
    pools.insert(pools.end(), static_cast<size_t>(params.local_searches), set);
  }
  const Result result = run_islands(context(), host, params, pools);
  const std::vector<int32_t> expected[] = {{1}, {2}, {0}};
  for (size_t c = 0; c < result.pool.size(); ++c) {
    EXPECT_EQ(ref::ids_of(result.pool[c]), expected[c < 3 ? c : 0]) << "set " << c;
  }
}

TEST_P(SearchIslandsTest, RoundsMayComeInSeveralCalls) {
  const ref::SearchCases host = ref::full_search_cases(2, 24, 2, 5, 48);
  SearchParams params = this->params();
  std::vector<SearchSet> pools, parts;
  const Result whole = run_islands(context(), host, params, pools);
  params.rounds = 1;
  Result part;
  for (params.first_round = 0; params.first_round < 5; ++params.first_round) {
    part = run_islands(context(), host, params, parts);
  }
  EXPECT_TRUE(std::ranges::equal(whole.pool, part.pool, same_set));
  EXPECT_TRUE(std::ranges::equal(pools, parts, same_set));
}

// No search finds this set, because its value is made up. It is seen where it was put and where migrants bring it,
// nowhere else.
TEST_P(SearchIslandsTest, TheBestSetsGoToTheNextIslandOfTheRing) {
  const ref::SearchCases host = ref::full_search_cases(1, 24, 2, 5, 49);
  SearchParams params = this->params(Strategy::genetic);
  params.rounds = 1;
  params.islands = 4;
  std::vector<SearchSet> pools;
  run_islands(context(), host, params, pools);
  const auto n_searches = static_cast<size_t>(params.local_searches);
  const std::vector<SearchSet> before = pools;
  const float made_up = 1.0e6f;
  pools[3 * n_searches].value = made_up;
  pools[3 * n_searches].violation = 0.0f;
  const auto has = [&](const std::vector<SearchSet>& sets, size_t island) {
    return std::any_of(sets.begin() + static_cast<std::ptrdiff_t>(island * n_searches),
                       sets.begin() + static_cast<std::ptrdiff_t>((island + 1) * n_searches),
                       [&](const SearchSet& set) { return set.value == made_up; });
  };
  const std::vector<SearchSet> seeded = pools;
  for (params.first_round = 1; params.first_round <= 5; ++params.first_round) {
    const Result result = run_islands(context(), host, params, pools);
    EXPECT_EQ(result.best().value, made_up);
    const int32_t moves = params.first_round / params.migrate_every;
    for (size_t k = 0; k < 4; ++k) {
      EXPECT_EQ(has(pools, k), k == 3 || static_cast<int32_t>(k) < moves)
          << "island " << k << " after round " << params.first_round;
    }
  }
  params.migrate_every = 0;
  params.first_round = 2;
  pools = seeded;
  run_islands(context(), host, params, pools);
  for (size_t k = 0; k < 4; ++k) EXPECT_EQ(has(pools, k), k == 3) << "without migration, island " << k;
}

// All islands begin with the pool of an earlier call.
TEST_P(SearchIslandsTest, AllIslandsGoOnFromAGivenPool) {
  const ref::SearchCases host = ref::full_search_cases(1, 24, 2, 5, 50);
  SearchParams params = this->params();
  params.islands = 1;
  std::vector<SearchSet> start = run(context(), host, params).pool;
  start[0].value = 1.0e6f;
  params.first_round = 5;
  params.rounds = 3;
  params.islands = 3;
  params.migrate_every = 0;
  const Result result = run(context(), host, params, numbered(1), start);
  EXPECT_EQ(result.best().value, 1.0e6f);
  EXPECT_FALSE(result.pool[1].value > 1.0e5f) << "it is there once";
  Context cpu;
  EXPECT_EQ(result, run(cpu, host, params, numbered(1), start));
}

TEST_P(SearchIslandsTest, HistoryIsThatOfTheBestIsland) {
  const ref::SearchCases host = ref::full_search_cases(2, 30, 3, 6, 51);
  const SearchParams params = this->params(Strategy::greedy);
  const Result result = run(context(), host, params);
  expect_rising_history(result, host.n_problems, params.rounds);
}

// Without migration the first island is the search without islands, so more of them cannot be worse. With it they find
// what one does not.
TEST_P(SearchIslandsTest, MoreIslandsFindMore) {
  if (on_simt()) return;
  SearchParams params{.strategy = Strategy::genetic, .local_searches = 2, .rounds = 2, .iterations = 1};
  int64_t found[3] = {}, n = 0;
  for (uint32_t seed = 0; seed < 30; ++seed) {
    const ref::SearchCases host = ref::full_search_cases(1, 26, 3, 6, 60 + seed);
    const ref::SearchScore optimum = ref::best_score(host, 0);
    if (optimum.violation > 0.0) continue;
    ++n;
    float last = -std::numeric_limits<float>::infinity();
    for (const int32_t islands : {1, 2, 8}) {
      params.islands = islands;
      params.migrate_every = 0;
      const SearchSet best = run(context(), host, params).best();
      const float value = best.violation > 0.0f ? -std::numeric_limits<float>::infinity() : best.value;
      EXPECT_GE(value, last);
      last = value;
      found[0] += islands == 1 && value == optimum.value;
      found[1] += islands == 8 && value == optimum.value;
    }
    params.migrate_every = 1;
    found[2] += run(context(), host, params).best().value == optimum.value;
  }
  EXPECT_LT(4 * found[0], 3 * n) << "the problems are hard for one island";
  EXPECT_GE(10 * found[1], 9 * n);
  EXPECT_GE(10 * found[2], 9 * n);
}

TEST_P(SearchIslandsTest, RefusesWrongArguments) {
  const ref::SearchCases host = ref::plain_search_cases(1, 10, 1, 1, 4, 52);
  EXPECT_THROW(run(context(), host, {.islands = 0}), UsageError);
  EXPECT_THROW(run(context(), host, {.islands = genetic::kMaxIslands + 1}), UsageError);
  EXPECT_THROW(run(context(), host, {.migrate_every = -1}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(SearchIslandsTest);

}  // namespace
}  // namespace sheaf::search_test
