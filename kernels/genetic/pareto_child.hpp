#pragma once
/// A child of two sets: what both backends do for one slot of the population. Element by element, additions only: the
/// same bits on all backends.

#include <cstdint>

#include "kernels/core/hd.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/genetic/evaluate_one_set.hpp"
#include "kernels/genetic/pareto.hpp"

namespace sheaf::genetic {

inline constexpr float kCrossover = 0.9f;    // Deb et al., 2002
inline constexpr float kMutation = 0.5f;     // of a child that is no copy of a parent's
inline constexpr float kAnotherMove = 0.3f;  // after each

SHEAF_HD inline int32_t bits_of(uint32_t word) {
#if defined(__CUDA_ARCH__)
  return __popc(word);
#else
  return __builtin_popcount(word);
#endif
}

/// A set of candidates.
struct Mask {
  uint32_t word[kMaskWords];

  SHEAF_HD bool has(int32_t j) const { return (word[j / 32] >> (j % 32) & 1u) != 0; }
  SHEAF_HD void flip(int32_t j) { word[j / 32] ^= 1u << (j % 32); }
  SHEAF_HD int32_t count() const {
    int32_t n = 0;
    for (int32_t w = 0; w < kMaskWords; ++w) n += bits_of(word[w]);
    return n;
  }
  /// The member with `k` members before it.
  SHEAF_HD int32_t member(int32_t k) const {
    for (int32_t w = 0; w < kMaskWords; ++w) {
      const int32_t here = bits_of(word[w]);
      if (k >= here) {
        k -= here;
        continue;
      }
      for (int32_t bit = 0;; ++bit) {
        if ((word[w] >> bit & 1u) != 0 && k-- == 0) return 32 * w + bit;
      }
    }
    return -1;
  }
};

SHEAF_HD inline Mask both(const Mask& a, const Mask& b) {
  Mask result{};
  for (int32_t w = 0; w < kMaskWords; ++w) result.word[w] = a.word[w] & b.word[w];
  return result;
}
SHEAF_HD inline Mask without(const Mask& a, const Mask& b) {
  Mask result{};
  for (int32_t w = 0; w < kMaskWords; ++w) result.word[w] = a.word[w] & ~b.word[w];
  return result;
}
SHEAF_HD inline bool same(const Mask& a, const Mask& b) {
  for (int32_t w = 0; w < kMaskWords; ++w) {
    if (a.word[w] != b.word[w]) return false;
  }
  return true;
}

/// What all children of a problem share.
struct ParetoView {
  int64_t problem;
  ProblemTally tally;
  Mask open, must;  // may be chosen; must
};

SHEAF_HD inline ParetoView pareto_view(const ParetoArgs& args, int64_t p) {
  ParetoView view{p, problem_tally(args.rules, p), {}, {}};
  for (int32_t j = 0; j < args.rules.n_candidates; ++j) {
    if (is_flagged(args.rules, p, j, kForbidden)) continue;
    view.open.flip(j);
    if (is_flagged(args.rules, p, j, kMustHave)) view.must.flip(j);
  }
  return view;
}

/// The draws of one child of one generation, in order.
class ParetoDraws {
 public:
  SHEAF_HD ParetoDraws(const ParetoArgs& args, int64_t p, uint32_t generation, int32_t child)
      : key_{args.params.seed, Purpose::search_cross, generation},
        row_(static_cast<uint64_t>(args.problem_ids[p]) & ((uint64_t{1} << 56) - 1)),
        block_(static_cast<uint32_t>(child) << 16) {}

  SHEAF_HD uint32_t next() {
    if (used_ == 4) {
      four_ = random4(key_, row_, block_++);
      used_ = 0;
    }
    return four_.v[used_++];
  }
  SHEAF_HD int32_t below(int32_t n) { return static_cast<int32_t>(bounded(next(), static_cast<uint32_t>(n))); }
  SHEAF_HD bool chance(float probability) { return uniform01(next()) < probability; }
  /// A member of `mask`, which is not empty.
  SHEAF_HD int32_t member(const Mask& mask) { return mask.member(below(mask.count())); }

 private:
  RandomKey key_;
  uint64_t row_;
  uint32_t block_;
  Random4 four_{};
  int32_t used_ = 4;
};

/// An add, a drop or a swap: the draw chooses among those for which there is room.
SHEAF_HD inline void move_once(const ParetoView& view, ParetoDraws& draws, Mask& set) {
  const Mask outside = without(view.open, set), loose = without(set, view.must);
  const int32_t kind = draws.below(4);  // half of them swaps
  const bool adds = kind != 0 && outside.count() > 0, drops = kind != 1 && loose.count() > 0;
  if (adds) set.flip(draws.member(outside));
  if (drops) set.flip(draws.member(loose));
}

SHEAF_HD inline void drop_conflicts(const ParetoArgs& args, const ParetoView& view, ParetoDraws& draws, Mask& set) {
  if (args.rules.conflict == nullptr) return;
  while (true) {
    Mask wrong{};  // members that may go and conflict with another
    const Mask loose = without(set, view.must);
    for (int32_t k = loose.count(); k-- > 0;) {
      const int32_t j = loose.member(k);
      const uint32_t* row =
          args.rules.conflict + (view.problem * args.rules.n_candidates + j) * static_cast<int64_t>(kMaskWords);
      bool conflicts = false;
      for (int32_t w = 0; w < kMaskWords; ++w) {
        const uint32_t self = w == j / 32 ? 1u << (j % 32) : 0u;
        conflicts = conflicts || (row[w] & set.word[w] & ~self) != 0;
      }
      if (conflicts) wrong.flip(j);
    }
    if (wrong.count() == 0) return;
    set.flip(draws.member(wrong));
  }
}

/// While a limit is broken, drops one of the items that weigh on it.
SHEAF_HD inline void drop_weight(const ParetoArgs& args, const ParetoView& view, ParetoDraws& draws, Mask& set) {
  for (int32_t r = 0; r < args.rules.n_limits; ++r) {
    const int64_t row = view.problem * args.rules.n_limits + r;
    const float* weight = args.rules.weight + row * args.rules.n_candidates;
    for (int32_t size = set.count(); size > args.rules.min_size; --size) {
      double load = 0.0;
      Mask heavy{};
      for (int32_t k = 0; k < size; ++k) {
        const int32_t j = set.member(k);
        load += static_cast<double>(weight[j]);
        if (weight[j] > 0.0f && !view.must.has(j)) heavy.flip(j);
      }
      if (!(load > args.rules.upper[row]) || heavy.count() == 0) break;
      set.flip(draws.member(heavy));
    }
  }
}

SHEAF_HD inline void repair(const ParetoArgs& args, const ParetoView& view, ParetoDraws& draws, Mask& set) {
  for (int32_t w = 0; w < kMaskWords; ++w) set.word[w] = (set.word[w] & view.open.word[w]) | view.must.word[w];
  drop_conflicts(args, view, draws, set);
  drop_weight(args, view, draws, set);
  int32_t size = set.count();
  for (; size > args.rules.max_size; --size) {
    const Mask loose = without(set, view.must);
    set.flip(draws.member(loose.count() > 0 ? loose : set));
  }
  for (; size < args.rules.min_size; ++size) {
    const Mask outside = without(view.open, set);
    if (outside.count() == 0) return;
    set.flip(draws.member(outside));
  }
}

/// Objectives and violation of the set, computed from zero.
SHEAF_HD inline void evaluate(const ParetoArgs& args, const ParetoView& view, ParetoSet& set) {
  constexpr float kBroken = 0x1.0p100f;
  const int64_t n = args.rules.n_candidates;
  int32_t ids[kMaxMembers];
  int32_t size = 0, different = 0;
  for (int32_t j = 0; j < args.rules.n_candidates; ++j) {
    if ((set.mask[j / 32] >> (j % 32) & 1u) != 0) ids[size++] = j;
  }
  if (args.category_value != nullptr) {
    const int32_t* category = args.rules.category + view.problem * n;
    for (int32_t a = 0; a < size; ++a) {
      int32_t before = 0;
      for (int32_t b = 0; b < a; ++b) before += category[ids[b]] == category[ids[a]] ? 1 : 0;
      different += before == 0 ? 1 : 0;
    }
  }
  set.violation = set_violation(args.rules, view.problem, view.tally, ids, size);
  for (int32_t m = 0; m < kMaxObjectives; ++m) {
    double value = 0.0;
    if (m < args.n_objectives) {
      const int64_t at = view.problem * args.n_objectives + m;
      for (int32_t a = 0; a < size; ++a) {
        const double* row = args.pair + (at * n + ids[a]) * n;
        value += args.linear[at * n + ids[a]];
        for (int32_t b = 0; b < a; ++b) value += row[ids[b]];
      }
      for (int32_t k = 0; k < different; ++k) value += args.category_value[at];
    }
    const bool finite = value - value == 0.0;
    set.objective[m] = finite ? value : 0.0;
    if (!finite) set.violation += kBroken;
  }
}

SHEAF_HD inline Mask mask_of(const ParetoSet& set) {
  Mask mask{};
  for (int32_t w = 0; w < kMaskWords; ++w) mask.word[w] = set.mask[w];
  return mask;
}

SHEAF_HD inline void finish_child(const ParetoArgs& args, const ParetoView& view, ParetoDraws& draws, Mask& set,
                                  ParetoSet& out) {
  repair(args, view, draws, set);
  for (int32_t w = 0; w < kMaskWords; ++w) out.mask[w] = set.word[w];
  evaluate(args, view, out);
}

/// A set of a random size, drawn for slot `child` before the first generation.
SHEAF_HD inline void random_set(const ParetoArgs& args, const ParetoView& view, int32_t child, ParetoSet& out) {
  ParetoDraws draws(args, view.problem, 0, child);
  const int32_t most = args.rules.max_size < args.rules.n_candidates ? args.rules.max_size : args.rules.n_candidates;
  const int32_t least = args.rules.min_size < most ? args.rules.min_size : most;
  Mask set{};
  for (int32_t size = least + draws.below(most - least + 1); size > 0; --size) {
    const Mask outside = without(view.open, set);
    if (outside.count() == 0) break;
    set.flip(draws.member(outside));
  }
  finish_child(args, view, draws, set, out);
}

/// The parents are sets[order[0 .. population - 1]], the best first.
SHEAF_HD inline void make_child(const ParetoArgs& args, const ParetoView& view, uint32_t generation, int32_t child,
                                const ParetoSet* sets, const int32_t* order, ParetoSet& out) {
  ParetoDraws draws(args, view.problem, generation, child);
  const auto parent = [&] {
    const int32_t one = draws.below(args.params.population), other = draws.below(args.params.population);
    return mask_of(sets[order[one < other ? one : other]]);
  };
  const Mask a = parent(), b = parent();
  Mask set = a;
  if (draws.chance(kCrossover)) {
    for (int32_t w = 0; w < kMaskWords; ++w) {
      const uint32_t differs = a.word[w] ^ b.word[w];
      if (differs != 0) set.word[w] = (a.word[w] & b.word[w]) | (differs & draws.next());
    }
  }
  const bool is_copy = same(set, a) || same(set, b);
  if (is_copy || draws.chance(kMutation)) {
    do {
      move_once(view, draws, set);
    } while (draws.chance(kAnotherMove));
  }
  finish_child(args, view, draws, set, out);
}

}  // namespace sheaf::genetic
