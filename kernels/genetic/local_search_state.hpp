#pragma once
/// The set of a local search and what is kept up to date with it: its value, h, the sums of weights and the counts of
/// members, categories and conflicts. A move then costs one pass over a row of the pair terms.

#include "kernels/genetic/lane_group.hpp"
#include "kernels/genetic/search_view.hpp"

namespace sheaf::genetic {

/// Only clear, add, drop and rebuild change the numbers; all others read them.
template <class Group, int kLimits, bool kSide>
struct SearchState {
  using V = typename Group::V;

  SHEAF_LANES SearchState(const Group& lanes, const SearchView& problem, const LocalSearchMemory<kLimits>& own)
      : group(lanes), view(problem), memory(own) {}

  SHEAF_LANES_CALL void clear() {
    group.lanes(view.stride, [&](int32_t j) {
      group.store(memory.h, j, group.load(view.linear, j));
      group.store(memory.in, j, group.load(view.closed, j));
      group.store(memory.until, j, V{});
      if constexpr (kSide) {
        group.store(memory.count, j, V{});
        group.store(memory.conflict, j, V{});
      }
    });
    group.leader([&] {
      for (int32_t w = 0; w < kMaskWords; ++w) memory.mask[w] = 0;
    });
    value = 0.0f;
    size = 0;
    conflicts = 0.0f;
    distinct = 0.0f;
    category_wrong = 0.0f;
    for (int32_t r = 0; r < kLimits; ++r) load[r] = 0.0;
    if constexpr (kSide) category_wrong = missing_of_all_categories();
  }

  SHEAF_LANES bool has(int32_t i) const { return (memory.mask[i / 32] >> (i % 32) & 1u) != 0; }
  SHEAF_LANES bool must(int32_t i) const { return (view.must[i / 32] >> (i % 32) & 1u) != 0; }

  SHEAF_LANES void add(int32_t i) {
    value += memory.h[i];
    ++size;
    change<1>(i);
  }

  SHEAF_LANES void drop(int32_t i) {
    value -= memory.h[i];
    --size;
    change<-1>(i);
  }

  /// The set of `mask`, built again in ascending order, so that the value depends on the set alone. Members far beyond
  /// the largest size are left out: there are no rows for them.
  SHEAF_LANES_CALL void rebuild(const uint32_t* mask) {
    uint32_t words[kMaskWords];
    for (int32_t w = 0; w < kMaskWords; ++w) words[w] = mask[w];
    group.sync();
    clear();
    for (int32_t w = 0; w < kMaskWords; ++w) {
      for (uint32_t bits = words[w]; bits != 0; bits &= bits - 1) {
        const int32_t i = 32 * w + Group::lowest(bits);
        if (size <= view.max_size || must(i)) add(i);
      }
    }
  }

  /// Everything that is counted and not weighed: size, must-haves, conflicts, categories.
  SHEAF_LANES float broken_counts() const {
    float wrong = 0.0f;
    if (size < view.min_size) wrong += static_cast<float>(view.min_size - size);
    if (size > view.max_size) wrong += static_cast<float>(size - view.max_size);
    for (int32_t w = 0; w < kMaskWords; ++w) {
      wrong += static_cast<float>(Group::bits(view.must[w] & ~memory.mask[w]));
    }
    if constexpr (kSide) wrong += conflicts + category_wrong + missing_categories();
    return wrong;
  }

  /// As problem.hpp defines it.
  SHEAF_LANES_CALL float violation() const {
    double broken = static_cast<double>(broken_counts());
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view.n_limits) break;
      const double upper = view.upper[r], over = load[r] - upper;
      const double magnitude = upper < 0 ? -upper : upper;
      if (over > 0.0) broken += over / (magnitude > 1.0 ? magnitude : 1.0);
      if (over != over) broken += 0x1.0p100;  // a weight that is no number never fits
    }
    return static_cast<float>(broken);
  }

  /// Members over or under the sizes, if the set had `members`.
  SHEAF_LANES float size_wrong(int32_t members) const {
    const int32_t wrong =
        members < view.min_size ? view.min_size - members : (members > view.max_size ? members - view.max_size : 0);
    return static_cast<float>(wrong);
  }

  /// Members over or under the range of i's category, if the category had `members`.
  SHEAF_LANES float range_wrong(int32_t i, float members) const {
    const float low = view.category_min[i], high = view.category_max[i];
    return members < low ? low - members : (members > high ? members - high : 0.0f);
  }

  SHEAF_LANES float missing_musts() const {
    int32_t missing = 0;
    for (int32_t w = 0; w < kMaskWords; ++w) missing += Group::bits(view.must[w] & ~memory.mask[w]);
    return static_cast<float>(missing);
  }

  /// The largest |h|, never 0: what a candidate may bring.
  SHEAF_LANES_CALL float scale() const {
    V most{};
    group.lanes(view.stride, [&](int32_t j) {
      const V h = group.load(memory.h, j);
      const V magnitude = h < 0.0f ? -h : h;
      const V open = group.load(view.closed, j) + magnitude;
      most = open > most ? open : most;
    });
    float score, code;
    group.reduce(most, V{}, score, code);
    return score > 0x1.0p-100f && score < 0x1.0p100f ? score : 1.0f;
  }

  /// The member of a rank.
  SHEAF_LANES_CALL int32_t member(int32_t rank) const {
    for (int32_t w = 0; w < kMaskWords; ++w) {
      uint32_t bits = memory.mask[w];
      const int32_t here = Group::bits(bits);
      if (rank >= here) {
        rank -= here;
        continue;
      }
      for (; rank > 0; --rank) bits &= bits - 1;
      return 32 * w + Group::lowest(bits);
    }
    return kNone;
  }

  const Group group;
  const SearchView& view;
  const LocalSearchMemory<kLimits> memory;
  float value = 0.0f;
  int32_t size = 0;
  float conflicts = 0.0f, distinct = 0.0f;  // pairs of members in conflict; categories that have members
  float category_wrong = 0.0f;              // members over or under the ranges of their categories
  double load[kLimits];                     // sums of weights

 private:
  /// Adds (kSign 1) or drops (-1) candidate i; size and value are already those after it.
  template <int kSign>
  SHEAF_LANES_CALL void change(int32_t i) {
    const float* row = view.pair + static_cast<int64_t>(i) * view.stride;
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view.n_limits) break;
      const auto weight = static_cast<double>(view.weight[r * view.stride + i]);
      load[r] += kSign > 0 ? weight : -weight;
    }
    float category = 0.0f;
    if constexpr (kSide) {
      category = view.category[i];
      const float before = memory.count[i], after = before + static_cast<float>(kSign);
      conflicts += kSign > 0 ? memory.conflict[i] : -memory.conflict[i];
      category_wrong += range_wrong(i, after) - range_wrong(i, before);
      if (before == 0.0f) distinct += 1.0f;
      if (after == 0.0f) distinct -= 1.0f;
    }
    group.sync();
    const float own = memory.h[i];
    group.sync();
    group.lanes(view.stride, [&](int32_t j) {
      const V pair = group.load(row, j), h = group.load(memory.h, j);
      group.store(memory.h, j, kSign > 0 ? h + pair : h - pair);
      if constexpr (kSide) {
        const V same = group.load(view.category, j) == category ? V{} + 1.0f : V{};
        const V count = group.load(memory.count, j), conflict = group.load(memory.conflict, j);
        const V clash = group.conflicts(view, i, j);
        group.store(memory.count, j, kSign > 0 ? count + same : count - same);
        group.store(memory.conflict, j, kSign > 0 ? conflict + clash : conflict - clash);
      }
    });
    group.leader([&] {
      memory.h[i] = own;  // the diagonal does not count
      memory.mask[i / 32] ^= 1u << (i % 32);
      memory.in[i] = kSign > 0 ? kNever : view.closed[i];
    });
  }

  /// Minima of all categories, each counted at its lowest candidate.
  SHEAF_LANES float missing_of_all_categories() const {
    float missing = 0.0f;
    for (int32_t i = 0; i < view.n; ++i) {
      if (view.category[i] == static_cast<float>(i)) missing += view.category_min[i];
    }
    return missing;
  }

  SHEAF_LANES float missing_categories() const {
    const float missing = static_cast<float>(view.min_categories) - distinct;
    return missing > 0.0f ? missing : 0.0f;
  }
};

}  // namespace sheaf::genetic
