#pragma once
/// Non-dominated sorting and crowding distance (Deb et al., 2002), one slot at a time. Between two steps all slots must
/// be done.

#include <cstdint>

#include "kernels/core/hd.hpp"
#include "kernels/genetic/pareto_child.hpp"

namespace sheaf::genetic {

inline constexpr int32_t kUnsorted = 0x7ffffffe, kCopy = 0x7fffffff;  // levels behind all fronts

/// A population and its children, in 2 N slots.
struct ParetoState {
  int32_t n_slots;       // 2 N
  int32_t n_words;       // of a bit for each slot
  ParetoSet* sets;       // [n_slots]
  uint32_t* dominators;  // [n_slots, n_words] bit j of row i: j dominates i
  uint32_t* open;        // [n_words] slots that are in no front yet
  int32_t* level;        // [n_slots] front, the best is 0
  float* crowding;       // [n_slots]
  int32_t* order;        // [n_slots] slots, the best first
};

/// Memory for it, a multiple of 16 bytes.
SHEAF_HD inline int64_t pareto_bytes(int32_t population) {
  const int64_t n = 2 * population, words = (n + 31) / 32;
  return (n * static_cast<int64_t>(sizeof(ParetoSet)) + 4 * (n * words + words + 3 * n) + 15) / 16 * 16;
}

SHEAF_HD inline ParetoState pareto_state(unsigned char* memory, int32_t population) {
  const int32_t n = 2 * population, words = (n + 31) / 32;
  ParetoState state{n, words, reinterpret_cast<ParetoSet*>(memory), nullptr, nullptr, nullptr, nullptr, nullptr};
  state.dominators = reinterpret_cast<uint32_t*>(state.sets + n);
  state.open = state.dominators + static_cast<int64_t>(n) * words;
  state.level = reinterpret_cast<int32_t*>(state.open + words);
  state.crowding = reinterpret_cast<float*>(state.level + n);
  state.order = reinterpret_cast<int32_t*>(state.crowding + n);
  return state;
}

SHEAF_HD inline bool dominates(const ParetoSet& a, const ParetoSet& b, int32_t n_objectives) {
  if (a.violation != b.violation) return a.violation < b.violation;
  if (a.violation > 0.0f) return false;
  bool better = false;
  for (int32_t m = 0; m < n_objectives; ++m) {
    if (a.objective[m] < b.objective[m]) return false;
    better = better || a.objective[m] > b.objective[m];
  }
  return better;
}

/// Step 1, for each slot: who dominates it, and whether an earlier slot holds the same set.
SHEAF_HD inline void compare_slot(const ParetoState& state, int32_t n_objectives, int32_t i) {
  const ParetoSet own = state.sets[i];
  const Mask mask = mask_of(own);
  bool copy = false;
  for (int32_t w = 0; w < state.n_words; ++w) {
    uint32_t word = 0;
    for (int32_t bit = 0; bit < 32 && 32 * w + bit < state.n_slots; ++bit) {
      const int32_t j = 32 * w + bit;
      const ParetoSet& other = state.sets[j];
      if (dominates(other, own, n_objectives)) word |= 1u << bit;
      copy = copy || (j < i && other.mask[0] == own.mask[0] && same(mask_of(other), mask));
    }
    state.dominators[i * state.n_words + w] = word;
  }
  state.level[i] = copy ? kCopy : kUnsorted;
}

/// Step 2, for each word; the first time and after each front.
SHEAF_HD inline void open_word(const ParetoState& state, int32_t w) {
  uint32_t word = 0;
  for (int32_t bit = 0; bit < 32 && 32 * w + bit < state.n_slots; ++bit) {
    word |= state.level[32 * w + bit] == kUnsorted ? 1u << bit : 0u;
  }
  state.open[w] = word;
}

SHEAF_HD inline int32_t count_open(const ParetoState& state) {
  int32_t n = 0;
  for (int32_t w = 0; w < state.n_words; ++w) n += bits_of(state.open[w]);
  return n;
}

/// Step 3, for each slot: it is in front `level` if nothing that is open dominates it.
SHEAF_HD inline void join_front(const ParetoState& state, int32_t level, int32_t i) {
  if (state.level[i] != kUnsorted) return;
  uint32_t dominated = 0;
  for (int32_t w = 0; w < state.n_words; ++w) dominated |= state.dominators[i * state.n_words + w] & state.open[w];
  if (dominated == 0) state.level[i] = level;
}

/// Step 4, for each slot: the crowding distance in its front, neighbours of equal objectives in the order of the slots.
SHEAF_HD inline float crowding_of(const ParetoState& state, int32_t n_objectives, int32_t i) {
  constexpr double kInfinity = __builtin_huge_val();
  if (state.level[i] >= kUnsorted) return 0.0f;
  float distance = 0.0f;
  for (int32_t m = 0; m < n_objectives; ++m) {
    const double own = state.sets[i].objective[m];
    double least = own, most = own, below = -kInfinity, above = kInfinity;
    for (int32_t j = 0; j < state.n_slots; ++j) {
      if (j == i || state.level[j] != state.level[i]) continue;
      const double value = state.sets[j].objective[m];
      least = value < least ? value : least;
      most = value > most ? value : most;
      if (value < own || (value == own && j < i)) {
        below = value > below ? value : below;
      } else {
        above = value < above ? value : above;
      }
    }
    if (below == -kInfinity || above == kInfinity) return __builtin_huge_valf();
    if (most > least) distance += static_cast<float>((above - below) / (most - least));
  }
  return distance >= 0.0f ? distance : 0.0f;  // differences of huge numbers
}

/// Step 5, for each slot: its place by front, crowding, slot.
SHEAF_HD inline void place_slot(const ParetoState& state, int32_t i) {
  int32_t rank = 0;
  for (int32_t j = 0; j < state.n_slots; ++j) {
    const bool before = state.level[j] != state.level[i]         ? state.level[j] < state.level[i]
                        : state.crowding[j] != state.crowding[i] ? state.crowding[j] > state.crowding[i]
                                                                 : j < i;
    rank += before ? 1 : 0;
  }
  state.order[rank] = i;
}

}  // namespace sheaf::genetic
