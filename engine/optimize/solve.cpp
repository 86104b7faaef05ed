#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>

#include "engine/optimize/exact_descent.hpp"
#include "engine/optimize/limit_sum.hpp"
#include "engine/optimize/packed_problem.hpp"
#include "engine/optimize/problem.hpp"
#include "kernels/core/buffer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/genetic/search.hpp"
#include "kernels/genetic/search_islands.hpp"

namespace sheaf {
namespace {

std::vector<int32_t> items_of(const genetic::SearchSet& set) {
  std::vector<int32_t> items;
  for (int32_t id = 0; id < genetic::kMaxCandidates; ++id) {
    if ((set.mask[id / 32] >> (id % 32) & 1u) != 0) items.push_back(id);
  }
  return items;
}

genetic::SearchSet set_of(const BundleProblem& problem, const std::vector<int32_t>& items) {
  genetic::SearchSet set{};
  for (const int32_t id : items) set.mask[id / 32] |= 1u << (id % 32);
  set.value = static_cast<float>(value_of(problem, items));
  const double violation = violation_of(problem, items);
  set.violation = static_cast<float>(violation);
  if (violation > 0.0) set.violation = std::max(set.violation, std::numeric_limits<float>::min());
  return set;
}

void check_params(const BundleProblem& problem, const SolveParams& params) {
  const auto refuse = [](const std::string& what, const std::string& mend) {
    throw UsageError("bundle search: " + what, mend);
  };
  if (params.method == SearchMethod::exact) refuse("solve() does not enumerate", "call the exact search");
  if (params.local_searches < 4 || params.local_searches > genetic::kMaxLocalSearches)
    refuse("local_searches must be 4 .. 32", "16 serve most");
  if (params.islands < 1 || params.islands > genetic::kMaxIslands) {
    refuse("islands must be 1 .. " + std::to_string(genetic::kMaxIslands), "1 serves most");
  }
  if (params.migrate_every < 0) refuse("migrate_every must not be negative", "0: never");
  if (params.rounds < 0 || params.iterations < 0)
    refuse("rounds and iterations must not be negative", "0: as they fit");
  if (params.rounds == 0 && !(params.time_limit > 0.0)) refuse("neither rounds nor a time limit", "give one");
  for (const int32_t id : params.start) {
    if (id < 0 || id >= problem.n) refuse("start names candidate " + std::to_string(id), "candidates count from 0");
  }
}

genetic::Strategy strategy_of(SearchMethod method) {
  switch (method) {
    case SearchMethod::genetic: return genetic::Strategy::genetic;
    case SearchMethod::anneal: return genetic::Strategy::anneal;
    case SearchMethod::greedy: return genetic::Strategy::greedy;
    case SearchMethod::relaxed: return genetic::Strategy::relaxed;
    default: return genetic::Strategy::portfolio;
  }
}

/// Rounds of the search, a few at a time where something may end it early.
class Rounds {
 public:
  Rounds(Context& context, const BundleProblem& problem, const SolveParams& params)
      : context_(context),
        problem_(problem),
        device_(context, problem),
        ids_(context, std::vector<int64_t>{params.problem_id}),
        evaluations_(Buffer<int64_t>::zeros(context, 1)),
        pool_(context, params.local_searches),
        island_pools_(context, params.islands * params.local_searches) {
    search_.strategy = strategy_of(params.method);
    search_.local_searches = static_cast<int32_t>(params.local_searches);
    search_.iterations = static_cast<int32_t>(params.iterations > 0 ? params.iterations : 32 + problem.n);
    search_.islands = static_cast<int32_t>(params.islands);
    search_.migrate_every = static_cast<int32_t>(params.migrate_every);
    search_.seed = params.seed;
  }

  void run(int64_t rounds) {
    search_.rounds = static_cast<int32_t>(rounds);
    genetic::search(context_, {.problems = device_.view(),
                               .params = search_,
                               .problem_ids = ids_.view(),
                               .pool = pool_.matrix(1, pool_.size()),
                               .evaluations = evaluations_.view(),
                               .history = {},
                               .island_pools = island_pools_.matrix(1, island_pools_.size())});
    search_.first_round += search_.rounds;
  }

  /// Puts a set in the place of the last of every pool.
  void insert(const std::vector<int32_t>& items) {
    const auto put = [&](Buffer<genetic::SearchSet>& pools) {
      std::vector<genetic::SearchSet> sets = pools.to_host();
      for (auto pool = sets.begin(); pool != sets.end(); pool += search_.local_searches) {
        pool[search_.local_searches - 1] = set_of(problem_, items);
        std::stable_sort(pool, pool + search_.local_searches,
                         [](const auto& a, const auto& b) { return genetic::compare_sets(a, b) > 0; });
      }
      pools.assign(sets);
    };
    put(pool_);
    put(island_pools_);
  }

  /// The sets of the pool, the best in float32 first.
  std::vector<std::vector<int32_t>> sets() const {
    std::vector<std::vector<int32_t>> sets;
    for (const genetic::SearchSet& set : pool_.to_host()) sets.push_back(items_of(set));
    return sets;
  }
  bool is_exact() const { return device_.is_exact(); }
  int64_t evaluations() const { return evaluations_.to_host().front(); }
  int64_t done() const { return search_.first_round; }

 private:
  Context& context_;
  const BundleProblem& problem_;
  PackedProblem device_;
  Buffer<int64_t> ids_, evaluations_;
  Buffer<genetic::SearchSet> pool_, island_pools_;
  genetic::SearchParams search_;
};

/// What `sets` are worth in exact arithmetic; the first of equal ones wins.
class Judge {
 public:
  explicit Judge(const BundleProblem& problem) : problem_(problem), limits_(limit_sums(problem)) {}

  JudgedSet best_of(const std::vector<std::vector<int32_t>>& sets) const {
    JudgedSet best;
    for (const std::vector<int32_t>& items : sets) {
      JudgedSet set = judge(problem_, limits_, items);
      if (set.is_better_than(best)) best = std::move(set);
    }
    return best;
  }

  /// The sets improved by exchanges, until `stop`.
  JudgedSet improved(const std::vector<std::vector<int32_t>>& sets, const std::function<bool()>& stop) const {
    JudgedSet best = best_of(sets);
    for (const std::vector<int32_t>& items : sets) {
      JudgedSet set = descend(problem_, limits_, judge(problem_, limits_, items), stop);
      if (set.is_better_than(best)) best = std::move(set);
    }
    return best;
  }

 private:
  const BundleProblem& problem_;
  std::vector<LimitSum> limits_;
};

}  // namespace

BundleAnswer solve(Context& context, const BundleProblem& problem, const SolveParams& params) {
  problem.validate();
  check_params(problem, params);
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    context.synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  Rounds rounds(context, problem, params);
  const bool timed = params.time_limit > 0.0;
  const bool whole = !timed && params.start.empty() && !std::isfinite(params.target) && !params.keep_on_interrupt;
  int64_t left = params.rounds > 0 ? params.rounds : std::numeric_limits<int32_t>::max();
  double longest = 0.0, before = 0.0;
  bool interrupted = false;
  const Judge judge(problem);
  while (left > 0) {
    const int64_t step = whole ? left : 1;
    try {
      check_interrupt("the bundle search");
      rounds.run(step);
    } catch (const Interrupted&) {
      // The pools are what the rounds before left.
      if (!params.keep_on_interrupt || rounds.done() == 0) throw;
      interrupted = true;
      break;
    }
    left -= step;
    if (rounds.done() == step && !params.start.empty()) rounds.insert(params.start);
    const double now = seconds();
    longest = std::max(longest, now - before);
    before = now;
    if (timed && now + longest > params.time_limit) break;
    if (std::isfinite(params.target)) {
      const JudgedSet best = judge.best_of(rounds.sets());
      if (!(best.violation > 0.0) && best.value >= params.target) break;
    }
  }
  std::vector<std::vector<int32_t>> sets = rounds.sets();
  if (!params.start.empty()) sets.push_back(params.start);
  const auto stop = [&] { return interrupt_requested() || (timed && seconds() > params.time_limit); };
  const JudgedSet best = rounds.is_exact() ? judge.best_of(sets) : judge.improved(sets, stop);
  BundleAnswer answer;
  answer.items = best.items;
  std::ranges::sort(answer.items);
  answer.value = best.value;
  answer.violation = best.violation;
  answer.feasible = !(answer.violation > 0.0);
  answer.evaluations = rounds.evaluations();
  answer.method = params.method;
  answer.interrupted = interrupted || (params.keep_on_interrupt && interrupt_requested());
  answer.seconds = seconds();
  return answer;
}

}  // namespace sheaf
