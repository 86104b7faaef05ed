#pragma once
/// Simulated annealing: a random move is taken if its loss is below the temperature times an exponential draw.

#include "kernels/genetic/local_search_moves.hpp"

namespace sheaf::genetic {

/// `first` and `last`: temperatures at the start and at the end.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void anneal(LocalSearch<Group, kLimits, kSide>& search, int32_t iterations, float first, float last) {
  auto& state = search.state;
  auto& draws = search.draws;
  const float step = (last - first) / static_cast<float>(iterations);
  float temperature = first;
  for (int32_t i = 0; i < iterations; ++i, temperature += step) {
    const float threshold = -Group::times(temperature, draws.exponential());
    const int32_t kind = draws.below(8);
    int32_t row = kind == 0 ? kNone : -1;
    if (kind > 1 && state.size > 0) row = state.member(draws.below(state.size));
    if (row >= 0 && row < kNone && state.must(row)) row = kNone;
    const auto move = random_move(search, row, draws.below(state.view.n), threshold);
    if (move.score > kNever) {
      search.apply(move);
      search.note_best();
    }
    search.penalties.adapt(state);
  }
}

}  // namespace sheaf::genetic
