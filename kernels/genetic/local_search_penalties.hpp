#pragma once
/// Constraints are penalised, not forbidden. Each limit has a factor, and the counted rules have one together. A factor
/// grows while its constraint is broken and shrinks while it holds, so the search moves to and fro across the border of
/// the feasible sets.

#include "kernels/genetic/local_search_state.hpp"

namespace sheaf::genetic {

template <class Group, int kLimits, bool kSide>
struct Penalties {
  using State = SearchState<Group, kLimits, kSide>;

  /// The penalty of the present set.
  SHEAF_LANES_CALL float of(const State& state) const {
    float sum = Group::times(count_factor, state.broken_counts());
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= state.view.n_limits) break;
      const float over = static_cast<float>(state.load[r] - state.view.upper[r]);
      if (over > 0.0f) sum += Group::times(limit_factor[r], over);
    }
    return sum;
  }

  /// Sets the factors from the present gains: `strength` times what a typical member brings.
  SHEAF_LANES_CALL void set(const State& state, float strength) {
    const float gain = Group::times(state.scale(), strength);
    count_factor = gain;
    least = gain * 0x1.0p-8f;
    most = gain * 0x1.0p12f;
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= state.view.n_limits) break;
      limit_factor[r] = gain / state.view.heaviest[r];
    }
  }

  /// After a move: each factor up or down.
  SHEAF_LANES_CALL void adapt(const State& state) {
    constexpr float kUp = 1.125f, kDown = 0.96875f;
    const auto turn = [&](bool broken, float& factor, float low, float high) {
      factor = broken ? Group::times(factor, kUp) : Group::times(factor, kDown);
      factor = factor < low ? low : (factor > high ? high : factor);
    };
    turn(state.broken_counts() > 0.0f, count_factor, least, most);
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= state.view.n_limits) break;
      const float heaviest = state.view.heaviest[r];
      turn(state.load[r] > state.view.upper[r], limit_factor[r], least / heaviest, most / heaviest);
    }
  }

  float limit_factor[kLimits];
  float count_factor = 1.0f;
  float least = 0.0f, most = 0.0f;  // what the factors may be; for a limit, over its heaviest weight
};

}  // namespace sheaf::genetic
