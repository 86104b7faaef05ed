#pragma once
/// Tabu search: always the best move, also where it makes the set worse. What has moved stays for a while, so that the
/// search does not walk back.

#include "kernels/genetic/local_search_moves.hpp"

namespace sheaf::genetic {

template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void tabu(LocalSearch<Group, kLimits, kSide>& search, int32_t iterations) {
  auto& state = search.state;
  search.penalties.set(state, 0.5f);
  for (int32_t i = 1; i <= iterations; ++i) {
    const auto now = static_cast<float>(i);
    const auto move = best_move<true>(search, now);
    if (!(move.score > kNever)) return;
    search.apply(move);
    search.note_best();
    const int32_t span = 2 + state.size / 8;
    const int32_t outside = 2 + (state.view.n - state.size) / 8;
    const float stay = now + static_cast<float>(1 + search.draws.below(span < 12 ? span : 12));
    const float away = now + static_cast<float>(1 + search.draws.below(outside < 24 ? outside : 24));
    state.group.leader([&] {
      if (move.in != kNone) state.memory.until[move.in] = stay;
      if (move.out != kNone) state.memory.until[move.out] = away;
    });
    search.penalties.adapt(state);
  }
}

}  // namespace sheaf::genetic
