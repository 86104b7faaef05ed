#pragma once
/// One call of the bundle search in guarded buffers, and all that it leaves.

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/genetic/search.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/search.hpp"

namespace sheaf::search_test {

using genetic::SearchParams;
using genetic::SearchSet;
using genetic::Strategy;

inline constexpr Strategy kStrategies[] = {Strategy::portfolio, Strategy::genetic, Strategy::anneal, Strategy::greedy,
                                           Strategy::relaxed};

// With ThreadSanitizer the executor's warps take a hundred times as long.
#if defined(SHEAF_TSAN)
inline constexpr bool kSlow = true;
#else
inline constexpr bool kSlow = false;
#endif

inline bool same_set(const SearchSet& a, const SearchSet& b) {
  return std::equal(a.mask, a.mask + genetic::kMaskWords, b.mask) && a.value == b.value && a.violation == b.violation;
}

struct Result {
  int64_t local_searches = 0;
  std::vector<SearchSet> pool;
  std::vector<int64_t> evaluations;
  std::vector<float> history;

  const SearchSet& best(int64_t p = 0) const { return pool[static_cast<size_t>(p * local_searches)]; }
  bool operator==(const Result& other) const {
    return evaluations == other.evaluations && history == other.history &&
           std::ranges::equal(pool, other.pool, same_set);
  }
};

inline std::vector<int64_t> numbered(int64_t n) {
  std::vector<int64_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), int64_t{1000});
  return ids;
}

inline Result run(Context& context, const ref::SearchCases& host, const SearchParams& params,
                  const std::vector<int64_t>& ids, const std::vector<SearchSet>& start = {}) {
  const ref::DeviceSearchCases problems(context, host);
  const Buffer<int64_t> problem_ids(context, ids);
  const int64_t n = host.n_problems;
  test::Guarded<SearchSet> pool(context, n * params.local_searches);
  if (!start.empty()) context.copy_from_host(pool.data(), start.data(), start.size() * sizeof(SearchSet));
  test::Guarded<int64_t> evaluations(context, std::vector<int64_t>(static_cast<size_t>(n), 0));
  test::Guarded<float> history(context, n * params.rounds);
  genetic::search(context, {.problems = problems.view(),
                            .params = params,
                            .problem_ids = problem_ids.view(),
                            .pool = pool.matrix(n, params.local_searches),
                            .evaluations = evaluations.view(),
                            .history = history.matrix(n, params.rounds)});
  pool.expect_intact();
  evaluations.expect_intact();
  history.expect_intact();
  return {params.local_searches, pool.to_host(), evaluations.to_host(), history.to_host()};
}

inline Result run(Context& context, const ref::SearchCases& host, const SearchParams& params) {
  return run(context, host, params, numbered(host.n_problems));
}

/// The best value so far never falls and ends at that of the result.
inline void expect_rising_history(const Result& result, int64_t n_problems, int64_t rounds) {
  for (int64_t p = 0; p < n_problems; ++p) {
    const auto begin = result.history.begin() + p * rounds;
    EXPECT_TRUE(std::is_sorted(begin, begin + rounds));
    if (!(result.best(p).violation > 0.0f)) {
      EXPECT_EQ(begin[rounds - 1], result.best(p).value);
    }
  }
}

}  // namespace sheaf::search_test
