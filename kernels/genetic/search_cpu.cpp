#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
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

/// A problem as its chains see it, with the pool that they share.
class Island {
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
  float heaviest_[kMostUpper] = {};
  uint32_t must_[kMaskWords] = {};
};

/// What the chains of a problem leave in a round.
struct Round {
  SearchSet sets[2 * kMostChains];  // the pool, then the chains' best
  SearchSet current[kMostChains];   // where annealing stands
  int64_t evaluations[kMostChains];
};

class Searcher {
 public:
  explicit Searcher(const SearchArgs& args) : args_(args), kernel_(search_kernel()) {}

  void run_chain(const Island& island, int64_t p, int32_t round, int32_t chain, unsigned char* memory,
                 Round& state) const {
    const SearchParams& params = args_.params;
    const int32_t step = params.first_round + round;
    const ChainJob job{params, args_.problem_ids[p], step, chain, step == 0 ? nullptr : state.sets};
    state.evaluations[chain] +=
        kernel_.run(island.view(), job, memory, state.current + chain, state.sets + params.chains + chain);
  }

  void begin(int64_t p, Round& state) const {
    for (int32_t c = 0; c < args_.params.chains; ++c) {
      state.evaluations[c] = 0;
      if (args_.params.first_round > 0) state.sets[c] = state.current[c] = args_.pool(p, c);
    }
  }

  void end_round(int64_t p, int32_t round, Round& state) const {
    const int32_t chains = args_.params.chains;
    const int32_t step = args_.params.first_round + round;
    const int32_t first = step == 0 ? chains : 0;
    const int32_t n = 2 * chains - first;
    SearchSet sorted[2 * kMostChains];
    for (int32_t i = 0; i < n; ++i) sorted[pool_rank(state.sets + first, n, i)] = state.sets[first + i];
    std::copy_n(sorted, chains, state.sets);
    if (args_.params.recipe == Recipe::anneal) {
      for (int32_t c = 0; c < chains; ++c) {
        if (exchanges(state.current, c, step, chains)) std::swap(state.current[c], state.current[c + 1]);
      }
    }
    if (args_.history.empty()) return;
    const SearchSet& best = state.sets[0];
    args_.history(p, round) = best.violation > 0.0f ? -std::numeric_limits<float>::infinity() : best.value;
  }

  void end(int64_t p, const Round& state) const {
    for (int32_t c = 0; c < args_.params.chains; ++c) {
      args_.pool(p, c) = state.sets[c];
      args_.evaluations[p] += state.evaluations[c];
    }
  }

 private:
  const SearchArgs& args_;
  const SearchKernel& kernel_;
};

struct Workspace {
  Island island;
  Round round;
  Aligned memory;
  unsigned char* chain_memory = nullptr;

  unsigned char* chain() {
    if (chain_memory == nullptr) {
      chain_memory = reinterpret_cast<unsigned char*>(memory.take(kChainBytes / static_cast<int64_t>(sizeof(float))));
    }
    return chain_memory;
  }
};

/// Few problems: threads share the chains of a round.
void search_by_chains(Context& context, const SearchArgs& args, std::vector<Workspace>& threads) {
  const Searcher searcher(args);
  Workspace shared;
  for (int64_t p = 0; p < args.problems.n_problems; ++p) {
    shared.island.prepare(args, p);
    searcher.begin(p, shared.round);
    for (int32_t round = 0; round < args.params.rounds; ++round) {
      check_interrupt("the bundle search");
      parallel_for(context, args.params.chains, 1, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t c = begin; c < end; ++c) {
          searcher.run_chain(shared.island, p, round, static_cast<int32_t>(c),
                             threads[static_cast<size_t>(thread)].chain(), shared.round);
        }
      });
      searcher.end_round(p, round, shared.round);
    }
    searcher.end(p, shared.round);
  }
}

void search_by_problems(Context& context, const SearchArgs& args, std::vector<Workspace>& threads) {
  constexpr int64_t kProblemsPerCheck = 256;  // between looks at the interrupt flag
  const Searcher searcher(args);
  for (int64_t first = 0; first < args.problems.n_problems; first += kProblemsPerCheck) {
    check_interrupt("the bundle search");
    const int64_t count = std::min(kProblemsPerCheck, args.problems.n_problems - first);
    parallel_for(context, count, 1, [&](int64_t begin, int64_t end, int thread) {
      Workspace& own = threads[static_cast<size_t>(thread)];
      for (int64_t p = first + begin; p < first + end; ++p) {
        own.island.prepare(args, p);
        searcher.begin(p, own.round);
        for (int32_t round = 0; round < args.params.rounds; ++round) {
          for (int32_t c = 0; c < args.params.chains; ++c) {
            searcher.run_chain(own.island, p, round, c, own.chain(), own.round);
          }
          searcher.end_round(p, round, own.round);
        }
        searcher.end(p, own.round);
      }
    });
  }
}

}  // namespace

void search(Context& context, const SearchArgs& args) {
  std::vector<Workspace> threads(static_cast<size_t>(context.n_threads()));
  const bool few = args.problems.n_problems < 2 * context.n_threads();
  if (few) {
    search_by_chains(context, args, threads);
  } else {
    search_by_problems(context, args, threads);
  }
}

}  // namespace sheaf::genetic::cpu
