#pragma once
/// The strategies: how a local search begins a round, which parents it takes, how it improves. See search.hpp.

#include "kernels/genetic/local_search_annealing.hpp"
#include "kernels/genetic/local_search_descent.hpp"
#include "kernels/genetic/local_search_relaxation.hpp"
#include "kernels/genetic/local_search_start.hpp"
#include "kernels/genetic/local_search_tabu.hpp"

namespace sheaf::genetic {

template <class Group, int kLimits, bool kSide>
SHEAF_LANES void run_portfolio(LocalSearch<Group, kLimits, kSide>& search, bool is_first) {
  const int32_t number = search.job().number, iterations = search.job().params.iterations;
  if (is_first) {
    if (number == 1) {
      relax(search, false);
    } else {
      start(search, number > 0);
    }
  } else if (search.draws.below(4) == 0) {
    search.state.rebuild(search.job().pool[tournament(search, 2)].mask);
    mutate(search, 2 + search.state.size / 4);
  } else {
    breed(search, 1, true, search.draws.below(4) == 0, 1 + search.state.size / 8);
  }
  search.begin();
  if (number % 4 == 3) {
    search.penalties.set(search.state, 0.5f);
    anneal(search, 2 * iterations, Group::times(search.state.scale(), 0.125f), 0.0f);
    search.penalties.set(search.state, 1.0f);
    descend(search, iterations);
  } else {
    tabu(search, iterations);
  }
}

template <class Group, int kLimits, bool kSide>
SHEAF_LANES void run_genetic(LocalSearch<Group, kLimits, kSide>& search, bool is_first) {
  if (is_first) {
    start(search, true);
  } else {
    breed(search, 3, false, search.draws.below(10) < 3, 1);
  }
  search.begin();
  repair(search);
  descend(search, search.job().params.iterations);
}

template <class Group, int kLimits, bool kSide>
SHEAF_LANES void run_greedy(LocalSearch<Group, kLimits, kSide>& search) {
  start(search, search.job().number > 0 || search.job().round > 0);
  search.begin();
  repair(search);
  descend(search, kMaxCandidates);
}

template <class Group, int kLimits, bool kSide>
SHEAF_LANES void run_relaxed(LocalSearch<Group, kLimits, kSide>& search, bool is_first) {
  relax(search, !(is_first && search.job().number == 0));
  search.begin();
  repair(search);
  descend(search, kMaxCandidates);
}

/// Writes the present set.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES void write_set(const SearchState<Group, kLimits, kSide>& state, SearchSet* out) {
  const float violation = state.violation(), value = state.value;
  state.group.leader([&] {
    for (int32_t w = 0; w < kMaskWords; ++w) out->mask[w] = state.memory.mask[w];
    out->value = value == value ? value : kNever;
    out->violation = violation;
  });
}

/// The temperatures of the local searches are a geometric ladder from a 2^-9 of the gains to half of them.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES void run_annealing(LocalSearch<Group, kLimits, kSide>& search, bool is_first, SearchSet* current) {
  const LocalSearchJob& job = search.job();
  if (is_first) {
    start(search, true);
  } else {
    search.state.rebuild(current->mask);
  }
  search.begin();
  search.penalties.set(search.state, 1.0f);
  float temperature = Group::times(search.state.scale(), 0.5f);
  for (int32_t c = 8 * job.number / job.params.local_searches; c < 8; ++c) temperature *= 0.5f;
  anneal(search, job.params.iterations, temperature, temperature);
  write_set(search.state, current);
  descend(search, kMaxCandidates);
}

/// One round. Annealing continues from `current` and leaves its set there. `out` is the best set found.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES void run_round(LocalSearch<Group, kLimits, kSide>& search, SearchSet* current, SearchSet* out) {
  const bool is_first = search.job().pool == nullptr;
  switch (search.job().params.strategy) {
    case Strategy::portfolio: run_portfolio(search, is_first); break;
    case Strategy::genetic: run_genetic(search, is_first); break;
    case Strategy::anneal: run_annealing(search, is_first, current); break;
    case Strategy::greedy: run_greedy(search); break;
    case Strategy::relaxed: run_relaxed(search, is_first); break;
  }
  search.state.rebuild(search.state.memory.best_mask);
  write_set(search.state, out);
}

}  // namespace sheaf::genetic
