#pragma once
/// The sets that a round begins with: greedy ones, and children and mutants of sets of the pool.

#include "kernels/genetic/local_search_moves.hpp"

namespace sheaf::genetic {

/// Takes as many must-haves as there is room for, lowest first.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void take_musts(SearchState<Group, kLimits, kSide>& state) {
  for (int32_t i = 0; i < state.view.n && state.size < state.view.max_size; ++i) {
    if (state.must(i) && !state.has(i) && !(state.view.closed[i] < 0.0f)) state.add(i);
  }
}

/// Adds the best newcomers. `noisy`: a random quarter of the candidates is left out of each choice.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void grow(LocalSearch<Group, kLimits, kSide>& search, bool noisy, const uint32_t* within = nullptr) {
  for (int32_t step = 0; step < search.state.view.n; ++step) {
    uint32_t skip[kMaskWords];
    if (noisy) {
      for (uint32_t& word : skip) {
        word = search.draws.next();
        word &= search.draws.next();
      }
    }
    const int32_t j = best_newcomer(search, search.state.memory.h, true, noisy ? skip : nullptr, within);
    if (j == kNone) break;
    search.state.add(j);
  }
}

template <class Group, int kLimits, bool kSide>
SHEAF_LANES void add_random(LocalSearch<Group, kLimits, kSide>& search, int32_t count) {
  auto& state = search.state;
  for (int32_t k = 0; k < count && state.size < state.view.max_size; ++k) {
    const int32_t j = search.draws.below(state.view.n);
    if (!state.has(j) && !(state.view.closed[j] < 0.0f)) state.add(j);
  }
}

template <class Group, int kLimits, bool kSide>
SHEAF_LANES void drop_random(LocalSearch<Group, kLimits, kSide>& search, int32_t count) {
  auto& state = search.state;
  for (int32_t k = 0; k < count && state.size > 0; ++k) {
    const int32_t i = state.member(search.draws.below(state.size));
    if (!state.must(i)) state.drop(i);
  }
}

/// Greedy from an empty set; `noisy` begins with a few random members.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void start(LocalSearch<Group, kLimits, kSide>& search, bool noisy) {
  search.state.clear();
  take_musts(search.state);
  if (noisy) add_random(search, 1 + search.draws.below(3));
  grow(search, noisy);
}

/// A place in the pool: the best of `rounds` draws, so a better place is more likely.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES int32_t tournament(LocalSearch<Group, kLimits, kSide>& search, int32_t rounds) {
  int32_t winner = search.job().params.local_searches;
  for (int32_t r = 0; r < rounds; ++r) {
    const int32_t rival = search.draws.below(search.job().params.local_searches);
    winner = rival < winner ? rival : winner;
  }
  return winner;
}

/// What both parents hold, filled from their union. False for equal parents: the child would be a copy.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES bool cross(LocalSearch<Group, kLimits, kSide>& search, const SearchSet& a, const SearchSet& b, bool noisy) {
  uint32_t both[kMaskWords], either[kMaskWords];
  bool differ = false;
  for (int32_t w = 0; w < kMaskWords; ++w) {
    both[w] = a.mask[w] & b.mask[w];
    either[w] = a.mask[w] | b.mask[w];
    differ = differ || a.mask[w] != b.mask[w];
  }
  search.state.rebuild(both);
  take_musts(search.state);
  grow(search, noisy, either);
  return differ;
}

template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void mutate(LocalSearch<Group, kLimits, kSide>& search, int32_t strength) {
  drop_random(search, strength);
  add_random(search, search.draws.below(strength + 1));
  grow(search, true);
}

/// A child of two sets of the pool; a mutant of it if asked for, or if the parents are equal.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void breed(LocalSearch<Group, kLimits, kSide>& search, int32_t rounds, bool noisy, bool mutated,
                            int32_t strength) {
  const SearchSet& a = search.job().pool[tournament(search, rounds)];
  const SearchSet& b = search.job().pool[tournament(search, rounds)];
  const bool differ = cross(search, a, b, noisy);
  if (mutated || !differ) {
    mutate(search, strength);
  } else {
    grow(search, false);
  }
}

}  // namespace sheaf::genetic
