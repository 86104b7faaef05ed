#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/genetic/search_islands.hpp"
#include "kernels/genetic/search_kernel.hpp"
#include "kernels/genetic/search_pool.hpp"
#include "kernels/genetic/search_prepare.hpp"

namespace sheaf::genetic::cpu {
namespace {

constexpr int64_t kAlignment = 64;

/// Floats on a cache line's border.
class Aligned {
 public:
  float* take(int64_t count) {
    storage_.assign(static_cast<size_t>(count + kAlignment), 0.0f);
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    return storage_.data() + (kAlignment - address % kAlignment) % kAlignment / sizeof(float);
  }

 private:
  std::vector<float> storage_;
};

/// A problem as its local searches see it.
class PreparedProblem {
 public:
  void prepare(const SearchArgs& args, int64_t p) {
    const SearchProblems& problems = args.problems;
    const int32_t n = problems.n_candidates;
    const int32_t stride = (n + kSearchLanes - 1) / kSearchLanes * kSearchLanes;
    const bool side = has_side_rules(problems);
    view_ = {.n = n,
             .stride = stride,
             .n_limits = problems.n_limits,
             .min_size = problems.min_size,
             .max_size = problems.max_size,
             .min_categories = problems.min_categories};
    view_.pair = padded(pair_, problems.pair + p * n * n, n);
    view_.linear = padded(linear_, problems.linear + p * n, 1);
    const int64_t first_limit = p * problems.n_limits;
    view_.weight = padded(weight_, problems.weight + first_limit * n, problems.n_limits);
    view_.upper = problems.upper + first_limit;
    lay_candidates(problems, p);
    for (int32_t r = 0; r < problems.n_limits; ++r) heaviest_[r] = heaviest_weight(problems, p, r);
    view_.heaviest = heaviest_;
    view_.must = must_;
    if (side) lay_side_rules(problems, p);
  }

  const SearchView& view() const { return view_; }

 private:
  const float* padded(Aligned& storage, const float* rows, int64_t n_rows) {
    float* out = storage.take(n_rows * view_.stride);
    for (int64_t r = 0; r < n_rows; ++r) std::copy_n(rows + r * view_.n, view_.n, out + r * view_.stride);
    return out;
  }

  void lay_candidates(const SearchProblems& problems, int64_t p) {
    float* closed = closed_.take(view_.stride);
    float* cost = cost_.take(view_.stride);
    std::fill_n(must_, kMaskWords, 0u);
    for (int32_t j = 0; j < view_.stride; ++j) {
      const bool open = j < view_.n && !is_flagged(problems, p, j, kForbidden);
      closed[j] = open ? 0.0f : kNever;
      cost[j] = j < view_.n ? candidate_cost(problems, p, j) : 1.0f;
      if (j < view_.n && is_flagged(problems, p, j, kMustHave)) must_[j / 32] |= 1u << (j % 32);
    }
    view_.closed = closed;
    view_.cost = cost;
  }

  void lay_side_rules(const SearchProblems& problems, int64_t p) {
    const int64_t n = view_.n;
    float* category = category_.take(view_.stride);
    float* least = category_min_.take(view_.stride);
    float* most = category_max_.take(view_.stride);
    for (int32_t j = 0; j < view_.n; ++j) {
      category[j] = static_cast<float>(category_head(problems, p, j));
      least[j] = problems.category_min == nullptr ? 0.0f : static_cast<float>(problems.category_min[p * n + j]);
      most[j] = problems.category_max == nullptr ? static_cast<float>(kMaxCandidates)
                                                 : static_cast<float>(problems.category_max[p * n + j]);
    }
    view_.category = category;
    view_.category_min = least;
    view_.category_max = most;
    if (problems.conflict == nullptr) return;
    float* rows = conflict_.take(n * view_.stride);
    for (int64_t i = 0; i < n; ++i) {
      const uint32_t* bits = problems.conflict + (p * n + i) * kMaskWords;
      for (int64_t j = 0; j < n; ++j) rows[i * view_.stride + j] = static_cast<float>(bits[j / 32] >> (j % 32) & 1u);
    }
    view_.conflict_rows = rows;
  }

  SearchView view_{};
  Aligned pair_, linear_, weight_, closed_, cost_, category_, category_min_, category_max_, conflict_;
  float heaviest_[kMaxLimits] = {};
  uint32_t must_[kMaskWords] = {};
};

/// An island between rounds.
struct Island {
  SearchSet sets[2 * kMaxLocalSearches];  // the pool, then the local searches' best
  SearchSet current[kMaxLocalSearches];   // where annealing stands
  int64_t evaluations[kMaxLocalSearches];
};

/// What an island is about to take from the one before it.
struct Migrants {
  SearchSet sets[kMaxMigrants];
};

class Searcher {
 public:
  explicit Searcher(const SearchArgs& args) : args_(args), kernel_(search_kernel()) {}

  void run_local_search(const PreparedProblem& problem, int64_t p, int32_t round, int32_t island, int32_t number,
                        unsigned char* memory, Island& state) const {
    const int32_t step = args_.params.first_round + round, n_searches = args_.params.local_searches;
    LocalSearchJob job{args_.params, args_.problem_ids[p], step, number, step == 0 ? nullptr : state.sets};
    job.params.seed = island_seed(args_.params.seed, island);
    state.evaluations[number] +=
        kernel_.run(problem.view(), job, memory, state.current + number, state.sets + n_searches + number);
  }

  void begin(int64_t p, int32_t island, Island& state) const {
    const int32_t n_searches = args_.params.local_searches;
    for (int32_t c = 0; c < n_searches; ++c) {
      state.evaluations[c] = 0;
      if (args_.params.first_round == 0) continue;
      state.sets[c] = state.current[c] =
          args_.island_pools.empty() ? args_.pool(p, c) : args_.island_pools(p, island * int64_t{n_searches} + c);
    }
  }

  /// The best sets of the island before, where they are better than the island's own.
  void take_in(const Migrants& migrants, Island& state) const {
    const int32_t n_searches = args_.params.local_searches, n = n_migrants(n_searches);
    std::copy_n(migrants.sets, n, state.sets + n_searches);
    keep_best(state.sets, n_searches + n, state.sets);
    if (args_.params.strategy == Strategy::anneal && compare_sets(migrants.sets[0], state.current[0]) > 0) {
      state.current[0] = migrants.sets[0];
    }
  }

  void end_round(int32_t round, Island& state) const {
    const int32_t n_searches = args_.params.local_searches;
    const int32_t step = args_.params.first_round + round;
    const int32_t first = step == 0 ? n_searches : 0;
    keep_best(state.sets + first, 2 * n_searches - first, state.sets);
    if (args_.params.strategy == Strategy::anneal) {
      for (int32_t c = 0; c < n_searches; ++c) {
        if (exchanges(state.current, c, step, n_searches)) std::swap(state.current[c], state.current[c + 1]);
      }
    }
  }

  void note_history(int64_t p, int32_t round, const Island* islands) const {
    if (args_.history.empty()) return;
    float best = -std::numeric_limits<float>::infinity();
    for (int32_t k = 0; k < args_.params.islands; ++k) {
      const SearchSet& set = islands[k].sets[0];
      if (!(set.violation > 0.0f)) best = std::max(best, set.value);
    }
    args_.history(p, round) = best;
  }

  void end(int64_t p, const Island* islands) const {
    const int32_t n_searches = args_.params.local_searches;
    for (int32_t k = 0; k < args_.params.islands; ++k) {
      for (int32_t c = 0; c < n_searches; ++c) {
        args_.evaluations[p] += islands[k].evaluations[c];
        if (!args_.island_pools.empty()) args_.island_pools(p, k * int64_t{n_searches} + c) = islands[k].sets[c];
      }
    }
    if (args_.params.islands == 1) {
      std::copy_n(islands[0].sets, n_searches, args_.pool.row(p));
    } else {
      merge(islands, args_.pool.row(p));
    }
  }

 private:
  void keep_best(const SearchSet* sets, int32_t n, SearchSet* pool) const {
    SearchSet sorted[2 * kMaxLocalSearches];
    for (int32_t i = 0; i < n; ++i) sorted[pool_rank(sets, n, i)] = sets[i];
    std::copy_n(sorted, args_.params.local_searches, pool);
  }

  /// The best different sets of all islands; with too few of them the best one again.
  void merge(const Island* islands, SearchSet* pool) const {
    const int32_t n_searches = args_.params.local_searches;
    const SearchSet* last = nullptr;
    for (int32_t r = 0; r < n_searches; ++r) {
      const SearchSet* best = nullptr;
      for (int32_t k = 0; k < args_.params.islands; ++k) {
        const int32_t c = r == 0 ? 0 : first_worse(islands[k].sets, n_searches, *last);
        if (c == n_searches) continue;
        const SearchSet* set = islands[k].sets + c;
        if (best == nullptr || compare_sets(*set, *best) > 0) best = set;
      }
      pool[r] = best != nullptr ? *best : pool[0];
      last = best != nullptr ? best : last;
    }
  }

  const SearchArgs& args_;
  const SearchKernel& kernel_;
};

struct Workspace {
  PreparedProblem problem;
  Island island;
  Aligned memory;
  unsigned char* own_memory = nullptr;

  unsigned char* local_search_memory() {
    if (own_memory == nullptr) {
      own_memory =
          reinterpret_cast<unsigned char*>(memory.take(kLocalSearchBytes / static_cast<int64_t>(sizeof(float))));
    }
    return own_memory;
  }
};

/// All islands as they stand, before any takes from another.
void migrate(const Context& context, const Searcher& searcher, int32_t n, int32_t n_searches, Island* islands,
             Migrants* migrants) {
  parallel_for(context, n, 16, [&](int64_t begin, int64_t end) {
    for (auto k = static_cast<int32_t>(begin); k < end; ++k) {
      std::copy_n(islands[island_before(k, n)].sets, n_migrants(n_searches), migrants[k].sets);
    }
  });
  parallel_for(context, n, 16, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) searcher.take_in(migrants[k], islands[k]);
  });
}

/// Few problems, or islands: threads share the local searches of a round.
void search_by_local_searches(Context& context, const SearchArgs& args, std::vector<Workspace>& threads) {
  const SearchParams& params = args.params;
  const Searcher searcher(args);
  const int32_t n = params.islands, n_searches = params.local_searches;
  ScratchScope scratch(context);
  auto* islands = scratch.take<Island>(n);
  auto* migrants = scratch.take<Migrants>(n);
  PreparedProblem problem;
  for (int64_t p = 0; p < args.problems.n_problems; ++p) {
    problem.prepare(args, p);
    for (int32_t k = 0; k < n; ++k) searcher.begin(p, k, islands[k]);
    for (int32_t round = 0; round < params.rounds; ++round) {
      if (migrates_before(params, params.first_round + round)) {
        migrate(context, searcher, n, n_searches, islands, migrants);
      }
      parallel_for(context, int64_t{n} * n_searches, 1, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t i = begin; i < end && !interrupt_requested(); ++i) {
          const auto k = static_cast<int32_t>(i / n_searches), c = static_cast<int32_t>(i % n_searches);
          searcher.run_local_search(problem, p, round, k, c, threads[static_cast<size_t>(thread)].local_search_memory(),
                                    islands[k]);
        }
      });
      check_interrupt("the bundle search");
      parallel_for(context, n, 16, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) searcher.end_round(round, islands[k]);
      });
      searcher.note_history(p, round, islands);
    }
    searcher.end(p, islands);
  }
}

void search_by_problems(Context& context, const SearchArgs& args, std::vector<Workspace>& threads) {
  constexpr int64_t kProblemsPerCheck = 256;  // a part that an interrupt may end
  const Searcher searcher(args);
  for (int64_t first = 0; first < args.problems.n_problems; first += kProblemsPerCheck) {
    const int64_t count = std::min(kProblemsPerCheck, args.problems.n_problems - first);
    parallel_for(context, count, 1, [&](int64_t begin, int64_t end, int thread) {
      Workspace& own = threads[static_cast<size_t>(thread)];
      for (int64_t p = first + begin; p < first + end && !interrupt_requested(); ++p) {
        own.problem.prepare(args, p);
        searcher.begin(p, 0, own.island);
        for (int32_t round = 0; round < args.params.rounds; ++round) {
          for (int32_t c = 0; c < args.params.local_searches; ++c) {
            searcher.run_local_search(own.problem, p, round, 0, c, own.local_search_memory(), own.island);
          }
          searcher.end_round(round, own.island);
          searcher.note_history(p, round, &own.island);
        }
        searcher.end(p, &own.island);
      }
    });
    check_interrupt("the bundle search");
  }
}

}  // namespace

void search(Context& context, const SearchArgs& args) {
  std::vector<Workspace> threads(static_cast<size_t>(context.n_threads()));
  const bool few = args.problems.n_problems < 2 * context.n_threads();
  if (few || args.params.islands > 1) {
    search_by_local_searches(context, args, threads);
  } else {
    search_by_problems(context, args, threads);
  }
}

}  // namespace sheaf::genetic::cpu
