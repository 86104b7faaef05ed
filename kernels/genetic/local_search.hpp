#pragma once
/// A local search: its parts, and the best set that it has seen. The functions that move it stand in
/// local_search_moves.hpp (judging), local_search_descent.hpp, local_search_tabu.hpp and local_search_annealing.hpp.

#include "kernels/genetic/local_search_draws.hpp"
#include "kernels/genetic/local_search_penalties.hpp"
#include "kernels/genetic/local_search_state.hpp"

namespace sheaf::genetic {

template <class Group, int kLimits, bool kSide>
struct LocalSearch {
  using V = typename Group::V;

  struct Move {
    int32_t in = kNone, out = kNone;
    float score = kNever;  // change of the value less the penalties after the move
  };

  SHEAF_LANES LocalSearch(const Group& group, const SearchView& view, const LocalSearchMemory<kLimits>& memory,
                          const LocalSearchJob& job)
      : state(group, view, memory), draws(job) {}

  SHEAF_LANES const LocalSearchJob& job() const { return draws.job; }

  SHEAF_LANES void apply(const Move& move) {
    if (move.out != kNone) state.drop(move.out);
    if (move.in != kNone) state.add(move.in);
  }

  /// Forgets the best set: the present set is the best so far.
  SHEAF_LANES void begin() {
    best_value = kNever;
    best_violation = __builtin_huge_valf();
    note_best();
  }

  SHEAF_LANES_CALL void note_best() {
    const float violation = state.violation();
    const bool better = violation < best_violation || (violation == best_violation && state.value > best_value);
    if (!better) return;
    best_value = state.value;
    best_violation = violation;
    state.group.leader([&] {
      for (int32_t w = 0; w < kMaskWords; ++w) state.memory.best_mask[w] = state.memory.mask[w];
    });
  }

  SearchState<Group, kLimits, kSide> state;
  Penalties<Group, kLimits, kSide> penalties;
  Draws<Group> draws;
  float best_value = kNever, best_violation = 0.0f;
  int64_t evaluations = 0;  // moves judged
};

}  // namespace sheaf::genetic
