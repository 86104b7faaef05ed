#pragma once
/// Best moves while they improve.

#include "kernels/genetic/local_search_moves.hpp"

namespace sheaf::genetic {

/// At most `max_moves` moves.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void descend(LocalSearch<Group, kLimits, kSide>& search, int32_t max_moves) {
  for (int32_t i = 0; i < max_moves; ++i) {
    const auto move = best_move<false>(search, 0.0f);
    if (!(move.score > -search.penalties.of(search.state))) break;
    search.apply(move);
    search.note_best();
  }
}

/// Under strong penalties. It ends feasible where single moves lead there.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void repair(LocalSearch<Group, kLimits, kSide>& search) {
  search.penalties.set(search.state, 16.0f);
  for (int32_t i = 0; i < 2 * kMaxCandidates && search.state.violation() > 0.0f; ++i) {
    const auto move = best_move<false>(search, 0.0f);
    if (!(move.score > -search.penalties.of(search.state))) break;
    search.apply(move);
  }
  search.note_best();
}

}  // namespace sheaf::genetic
