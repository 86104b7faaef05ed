#pragma once
/// Judging moves: adds, drops and swaps. Every constraint is judged together with the gain, candidate by candidate. The
/// gain of swapping i for j is h[j] - h[i] - pair[i, j]: one read beyond what the search holds.

#include "kernels/genetic/local_search.hpp"

namespace sheaf::genetic {

/// What the set would be without member i, or with nobody leaving (kNone). Must-haves are left out of the broken
/// counts: they never leave, so their number only falls.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES void fill_row(const SearchState<Group, kLimits, kSide>& state, SwapRow<kLimits>& row, int32_t i,
                          float iteration) {
  const SearchView& view = state.view;
  const auto& memory = state.memory;
  const bool none = i == kNone;
  row.pair = none ? nullptr : view.pair + static_cast<int64_t>(i) * view.stride;
  row.id = i;
  row.loss = none ? 0.0f : memory.h[i];
  row.bar = !none && memory.until[i] > iteration && iteration >= 0.0f ? kNever : 0.0f;
  row.wrong = state.size_wrong(none ? state.size + 1 : state.size);
  SHEAF_ROLLED
  for (int32_t r = 0; r < kLimits; ++r) {
    if (r >= view.n_limits) break;
    const float slack = static_cast<float>(view.upper[r] - state.load[r]);
    row.room[r] = none ? slack : slack + view.weight[r * view.stride + i];
  }
  if constexpr (kSide) {
    row.wrong += state.category_wrong + state.conflicts;
    row.distinct = state.distinct;
    row.category = -1.0f;
    if (!none) {
      row.wrong +=
          state.range_wrong(i, memory.count[i] - 1.0f) - state.range_wrong(i, memory.count[i]) - memory.conflict[i];
      row.distinct -= memory.count[i] == 1.0f ? 1.0f : 0.0f;
      row.category = view.category[i];
    }
  }
}

/// Rows of the members in `mask` that may leave, and of the add; returns how many.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL int32_t lay_rows(const SearchState<Group, kLimits, kSide>& state, const uint32_t* mask,
                                  float iteration, bool with_add) {
  const int32_t first = with_add && state.size <= state.view.max_size && state.size < state.view.n ? 1 : 0;
  SwapRow<kLimits>* rows = state.memory.rows;
  uint32_t words[kMaskWords];
  int32_t n_rows = first;
  for (int32_t w = 0; w < kMaskWords; ++w) {
    words[w] = mask[w] & ~state.view.must[w];
    n_rows += Group::bits(words[w]);
  }
  if (first > 0) {
    state.group.leader([&] { fill_row(state, rows[0], kNone, iteration); });
  }
  state.group.members(words, [&](int32_t rank, int32_t i) { fill_row(state, rows[first + rank], i, iteration); });
  return n_rows;
}

/// Broken rules, except the limits, after candidates j.. replace the row's member.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES typename Group::V wrong_after(const SearchState<Group, kLimits, kSide>& state, const SwapRow<kLimits>& row,
                                          int32_t j) {
  using V = typename Group::V;
  if constexpr (!kSide) {
    return V{} + row.wrong;
  } else {
    const Group& group = state.group;
    const SearchView& view = state.view;
    const V one = V{} + 1.0f, zero{};
    V count = group.load(state.memory.count, j);
    count = group.load(view.category, j) == row.category ? count - one : count;
    V wrong = group.load(state.memory.conflict, j) + row.wrong;
    if (row.id != kNone) wrong -= group.conflicts(view, row.id, j);
    wrong += count >= group.load(view.category_max, j) ? one : zero;
    wrong -= count < group.load(view.category_min, j) ? one : zero;
    const V distinct = (count == 0.0f ? one : zero) + row.distinct;
    const V missing = static_cast<float>(view.min_categories) - distinct;
    return wrong + (missing > 0.0f ? missing : zero);
  }
}

/// Which of the acceptable moves is taken: the best, or, with an offset, the first candidate from there on, cyclically.
struct MoveChoice {
  int32_t offset;   // -1: the best
  float threshold;  // acceptable is what scores above it
};

/// The score of candidates j.. for a choice by offset.
template <class Group>
SHEAF_LANES typename Group::V in_turn(const Group& group, const SearchView& view, const MoveChoice& choice, int32_t j,
                                      const typename Group::V& score) {
  using V = typename Group::V;
  V turn = group.ids(j) - static_cast<float>(choice.offset);
  turn = turn < 0.0f ? turn + static_cast<float>(view.n) : turn;
  return score > choice.threshold ? -turn : V{} + kNever;
}

/// The chosen drop by `judge`.
template <class Group, int kLimits, bool kSide, class Judge>
SHEAF_LANES auto drop_moves(LocalSearch<Group, kLimits, kSide>& search, const Judge& judge, bool heed_tabu,
                            float iteration, const MoveChoice& choice) {
  using V = typename Group::V;
  const auto& state = search.state;
  const auto& memory = state.memory;
  const Group& group = state.group;
  const SearchView& view = state.view;
  const V never = V{} + kNever, zero{}, one = V{} + 1.0f;
  V best = never, where{};
  const float missing_musts = state.missing_musts();
  group.lanes(view.stride, [&](int32_t j) {
    const V inside = group.load(memory.in, j);
    // Members are closed to adds; forbidden candidates and padding are never members.
    V delta = inside < 0.0f ? -group.load(memory.h, j) : never;
    delta = group.load(view.closed, j) < 0.0f ? never : delta;
    delta = group.of_mask(view.must, j) > 0.0f ? never : delta;
    const V bar = heed_tabu ? (group.load(memory.until, j) > iteration ? never : zero) : zero;
    V wrong = V{} + (state.size_wrong(state.size - 1) + missing_musts);
    if constexpr (kSide) {
      const V count = group.load(memory.count, j);
      wrong += state.category_wrong + state.conflicts;
      wrong -= group.load(memory.conflict, j);
      wrong += count <= group.load(view.category_min, j) ? one : zero;
      wrong -= count > group.load(view.category_max, j) ? one : zero;
      const V missing = (count == 1.0f ? one : zero) + (static_cast<float>(view.min_categories) - state.distinct);
      wrong += missing > 0.0f ? missing : zero;
    }
    V pen = Group::times(search.penalties.count_factor, wrong);
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view.n_limits) break;
      const V over = static_cast<float>(state.load[r] - view.upper[r]) - group.load(view.weight + r * view.stride, j);
      pen += Group::times(search.penalties.limit_factor[r], over > 0.0f ? over : zero);
    }
    V score = judge(delta, pen, bar);
    if (choice.offset >= 0) score = in_turn(group, view, choice, j, score);
    where = score > best ? group.ids(j) : where;
    best = score > best ? score : best;
  });
  search.evaluations += state.size;
  typename LocalSearch<Group, kLimits, kSide>::Move move;
  float code;
  group.reduce(best, where, move.score, code);
  if (move.score > kNever) move.out = static_cast<int32_t>(code);
  return move;
}

/// The chosen move of the prepared rows by `judge`.
template <bool kTabu, class Group, int kLimits, bool kSide, class Judge>
SHEAF_LANES auto search_rows(LocalSearch<Group, kLimits, kSide>& search, int32_t n_rows, float iteration,
                             const Judge& judge, bool with_drops, const MoveChoice& choice) {
  using V = typename Group::V;
  const auto& state = search.state;
  const auto& memory = state.memory;
  const Group& group = state.group;
  const SearchView& view = state.view;
  const V never = V{} + kNever, zero{};
  V best = never, where{};
  const float missing_musts = state.missing_musts();
  group.lanes(view.stride, [&](int32_t j) {
    const V h = group.load(memory.h, j) + group.load(memory.in, j);
    const V bar_in = kTabu ? (group.load(memory.until, j) > iteration ? never : zero) : zero;
    V high = never, from{};
    for (int32_t k = 0; k < n_rows; ++k) {
      const SwapRow<kLimits>& row = memory.rows[k];
      V delta = h - row.loss;
      if (row.id != kNone) delta -= group.load(row.pair, j);
      V pen = Group::times(search.penalties.count_factor, wrong_after(state, row, j) + missing_musts);
      SHEAF_ROLLED
      for (int32_t r = 0; r < kLimits; ++r) {
        if (r >= view.n_limits) break;
        const V over = group.load(view.weight + r * view.stride, j) - row.room[r];
        pen += Group::times(search.penalties.limit_factor[r], over > 0.0f ? over : zero);
      }
      V score = judge(delta, pen, kTabu ? bar_in + row.bar : zero);
      if (choice.offset >= 0) score = in_turn(group, view, choice, j, score);
      const V id = V{} + static_cast<float>(row.id);
      from = score > high ? id : from;
      high = score > high ? score : high;
    }
    const V place = group.ids(j) * 512.0f + from;
    where = high > best ? place : where;
    best = high > best ? high : best;
  });
  search.evaluations += static_cast<int64_t>(n_rows) * (view.n - state.size);
  typename LocalSearch<Group, kLimits, kSide>::Move move;
  float code;
  group.reduce(best, where, move.score, code);
  if (move.score > kNever) {
    const auto place = static_cast<int32_t>(code);
    move.in = place / 512;
    move.out = place % 512;
  }
  if (with_drops && state.size > 0) {
    const auto drop = drop_moves(search, judge, kTabu, iteration, choice);
    if (drop.score > move.score) move = drop;
  }
  return move;
}

/// The best move that is not tabu or leads to a new best. kTabu false: of all moves.
template <bool kTabu, class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL auto best_move(LocalSearch<Group, kLimits, kSide>& search, float iteration) {
  using V = typename Group::V;
  const auto& state = search.state;
  const int32_t n_rows = lay_rows(state, state.memory.mask, kTabu ? iteration : -1.0f, true);
  const float need = search.best_violation > 0.0f ? kNever : search.best_value - state.value;
  const auto judge = [&](const V& delta, const V& pen, const V& bar) -> V {
    const V score = delta - pen;
    if constexpr (!kTabu) return score;
    return pen > 0.0f ? score + bar : (delta > need ? score : score + bar);
  };
  return search_rows<kTabu>(search, n_rows, iteration, judge, true, {-1, 0.0f});
}

/// A random acceptable move of one row: `row` a member that leaves, kNone for an add, -1 for a drop.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL auto random_move(LocalSearch<Group, kLimits, kSide>& search, int32_t row, int32_t offset,
                                  float threshold) {
  using V = typename Group::V;
  uint32_t words[kMaskWords] = {};
  if (row >= 0 && row < kNone) words[row / 32] = 1u << (row % 32);
  const float now = search.penalties.of(search.state);
  const auto judge = [&](const V& delta, const V& pen, const V&) -> V { return delta - pen + now; };
  const MoveChoice choice{offset, threshold};
  if (row < 0) return drop_moves(search, judge, false, 0.0f, choice);
  const int32_t n_rows = lay_rows(search.state, words, -1.0f, row == kNone);
  return search_rows<false>(search, n_rows, 0.0f, judge, false, choice);
}

/// The outsider with the highest key (over its cost) that breaks nothing more; kNone if there is none. Once the set has
/// its least size, the key must be positive. `skip` and `within` are masks, null for none and for all.
template <class Group, int kLimits, bool kSide>
SHEAF_LANES_CALL int32_t best_newcomer(LocalSearch<Group, kLimits, kSide>& search, const float* key, bool per_cost,
                                       const uint32_t* skip, const uint32_t* within) {
  using V = typename Group::V;
  const auto& state = search.state;
  const Group& group = state.group;
  const SearchView& view = state.view;
  if (state.size >= view.max_size) return kNone;
  lay_rows(state, state.memory.mask, -1.0f, true);
  if (state.size >= view.n) return kNone;
  const V never = V{} + kNever;
  const float now =
      state.broken_counts() - state.missing_musts() - state.size_wrong(state.size) + state.size_wrong(state.size + 1);
  const bool any = state.size < view.min_size;
  V best = never, where{};
  group.lanes(view.stride, [&](int32_t j) {
    const SwapRow<kLimits>& row = state.memory.rows[0];
    V gain = group.load(key, j);
    if (!any) gain = gain > 0.0f ? gain : never;
    if (per_cost) gain = gain / group.load(view.cost, j);
    gain += group.load(state.memory.in, j);
    gain = wrong_after(state, row, j) > now ? never : gain;
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view.n_limits) break;
      const float room = row.room[r] > 0.0f ? row.room[r] : 0.0f;  // over it already: nothing that adds to it
      gain = group.load(view.weight + r * view.stride, j) > room ? never : gain;
    }
    if (skip != nullptr) gain = group.of_mask(skip, j) > 0.0f ? never : gain;
    if (within != nullptr) gain = group.of_mask(within, j) > 0.0f ? gain : never;
    where = gain > best ? group.ids(j) : where;
    best = gain > best ? gain : best;
  });
  search.evaluations += view.n - state.size;
  float score, id;
  group.reduce(best, where, score, id);
  return score > kNever ? static_cast<int32_t>(id) : kNone;
}

}  // namespace sheaf::genetic
