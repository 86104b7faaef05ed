#pragma once
/// A set from the relaxed problem, in which a candidate may be chosen in part.

#include "kernels/genetic/local_search_start.hpp"

namespace sheaf::genetic {

/// Moves a price, in units of the gains over the heaviest weight, by the share that the load is over its bound.
template <class Group>
SHEAF_LANES void raise_price(float& price, double load, double upper) {
  const double magnitude = upper < 0 ? -upper : upper;
  const auto over = static_cast<float>((load - upper) / (magnitude > 1.0 ? magnitude : 1.0));
  price += over > -1.0f ? Group::times(0.25f, over < 4.0f ? over : 4.0f) : -0.25f;
  price = price > 0.0f ? price : 0.0f;
}

/// Builds a set by descending theta. `key` is free memory.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void round_by(LocalSearch<Group, kLimits, kSide>& search, const float* theta, float* key) {
  using V = typename Group::V;
  auto& state = search.state;
  state.group.lanes(state.view.stride, [&](int32_t j) {
    const V t = state.group.load(theta, j), size = t < 0.0f ? -t : t;
    state.group.store(key, j, t / (size + 1.0f) + 1.0f);  // positive: any may be taken
  });
  state.clear();
  take_musts(state);
  for (int32_t step = 0; step < state.view.n; ++step) {
    const int32_t j = best_newcomer(search, key, false, nullptr, nullptr);
    if (j == kNone || !(state.memory.h[j] > 0.0f || state.size < state.view.min_size)) break;
    state.add(j);
  }
}

/// Gradient ascent on value(x) - sum of price * (load(x) - upper) for x = (1 + theta / (1 + |theta|)) / 2. Then builds
/// a set by descending theta.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL void relax(LocalSearch<Group, kLimits, kSide>& search, bool noisy) {
  using V = typename Group::V;
  constexpr int32_t kSteps = 32;
  search.state.clear();
  const Group& group = search.state.group;
  const SearchView& view = search.state.view;
  float* theta = search.state.memory.until;
  float* x = search.state.memory.x;
  float* h = search.state.memory.h;
  float* trust = search.state.memory.count;  // in a candidate's gain; free until the set is built
  group.lanes(view.stride, [&](int32_t j) {
    group.store(theta, j, V{});
    group.store(trust, j, V{} + 1.0f);
  });
  for (int32_t k = 0; noisy && k < view.n; ++k) {
    const float draw = search.draws.uniform() + 0.5f;
    group.leader([&] { trust[k] = draw; });
  }
  float price[kLimits] = {}, size_price = 0.0f;
  for (int32_t step = 0; step < kSteps; ++step) {
    group.lanes(view.stride, [&](int32_t j) {
      const V t = group.load(theta, j), size = t < 0.0f ? -t : t;
      const V open = group.load(view.closed, j);
      const V share = t / (size + 1.0f) * 0.5f + 0.5f;
      group.store(x, j, open < 0.0f ? V{} : share);
    });
    group.lanes(view.stride, [&](int32_t j) {
      V sum = group.load(view.linear, j);
      const float* row = view.pair;
      for (int32_t i = 0; i < view.n; ++i, row += view.stride) sum += Group::times(x[i], group.load(row, j));
      group.store(h, j, sum);
    });
    double load[kLimits] = {};
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view.n_limits) break;
      const float* weight = view.weight + r * view.stride;
      for (int32_t i = 0; i < view.n; ++i) load[r] += static_cast<double>(Group::times(x[i], weight[i]));
    }
    double size = 0.0;
    for (int32_t i = 0; i < view.n; ++i) size += static_cast<double>(x[i]);
    const float gain = search.state.scale();
    raise_price<Group>(size_price, size, static_cast<double>(view.max_size));
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view.n_limits) break;
      raise_price<Group>(price[r], load[r], view.upper[r]);
    }
    group.lanes(view.stride, [&](int32_t j) {
      V slope = Group::times(group.load(trust, j), group.load(h, j) / gain) - size_price;
      SHEAF_ROLLED
      for (int32_t r = 0; r < kLimits; ++r) {
        if (r >= view.n_limits) break;
        slope -= Group::times(price[r], group.load(view.weight + r * view.stride, j) / view.heaviest[r]);
      }
      group.store(theta, j, group.load(theta, j) + slope);
    });
  }
  round_by(search, theta, x);
}

}  // namespace sheaf::genetic
