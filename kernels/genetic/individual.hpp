#pragma once
/// One set of a bundle problem and the moves of the search, written once for the host and the device.
/// Both run the same float operations in the same order, so they make the same decisions.

#include <cstdint>
#include <limits>

#include "kernels/core/hd.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/genetic/evolve.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

/// One problem of the batch; `allowed` lists the candidates that are not forbidden, ascending.
struct ProblemView {
  int32_t n_candidates;
  int32_t min_size;
  int32_t max_size;
  int32_t min_categories;
  const float* linear;
  const float* pair;
  const float* price;
  const int32_t* category;
  const uint8_t* flags;
  float budget;
  int32_t n_must_have;
  const uint8_t* allowed;
  int32_t n_allowed;
};

SHEAF_HD inline ProblemView problem_view(const Problems& problems, int64_t p) {
  const int64_t n = problems.n_candidates;
  ProblemView view;
  view.n_candidates = static_cast<int32_t>(n);
  view.min_size = problems.min_size;
  view.max_size = problems.max_size;
  view.min_categories = problems.min_categories;
  view.linear = problems.linear + p * n;
  view.pair = problems.pair + p * n * n;
  view.price = problems.price + p * n;
  view.category = problems.category + p * n;
  view.flags = problems.flags + p * n;
  view.budget = problems.budget[p];
  view.n_must_have = 0;
  for (int32_t c = 0; c < view.n_candidates; ++c) view.n_must_have += (view.flags[c] & kMustHave) != 0 ? 1 : 0;
  view.allowed = nullptr;
  view.n_allowed = 0;
  return view;
}

/// Fills `allowed` [kMaxCandidates]; returns how many there are.
SHEAF_HD inline int32_t list_allowed(const ProblemView& problem, uint8_t* allowed) {
  int32_t n_allowed = 0;
  for (int32_t c = 0; c < problem.n_candidates; ++c) {
    if ((problem.flags[c] & kForbidden) == 0) allowed[n_allowed++] = static_cast<uint8_t>(c);
  }
  return n_allowed;
}

/// Members ascending; the mask holds the same set. Trivial, for shared memory.
struct Individual {
  float value;
  float violation;
  int32_t size;
  uint8_t members[kMaxSize];
  uint32_t mask[kMaxCandidates / 32];
};

SHEAF_HD inline void clear(Individual& set) {
  set.value = 0.0f;
  set.violation = 0.0f;
  set.size = 0;
  for (int i = 0; i < kMaxSize; ++i) set.members[i] = 0;
  for (int word = 0; word < kMaxCandidates / 32; ++word) set.mask[word] = 0;
}

SHEAF_HD inline bool contains(const Individual& set, int32_t c) { return (set.mask[c / 32] >> (c % 32) & 1u) != 0; }

/// Needs room for one more and c not in the set.
SHEAF_HD inline void insert(Individual& set, int32_t c) {
  int32_t place = set.size++;
  for (; place > 0 && set.members[place - 1] > c; --place) set.members[place] = set.members[place - 1];
  set.members[place] = static_cast<uint8_t>(c);
  set.mask[c / 32] |= 1u << (c % 32);
}

SHEAF_HD inline void erase(Individual& set, int32_t c) {
  int32_t place = 0;
  while (place < set.size && set.members[place] != c) ++place;
  if (place == set.size) return;
  --set.size;
  for (; place < set.size; ++place) set.members[place] = set.members[place + 1];
  set.mask[c / 32] &= ~(1u << (c % 32));
}

/// What c adds to the value: linear[c] plus its pairs with the members other than c, ascending.
SHEAF_HD inline float gain(const ProblemView& problem, const Individual& set, int32_t c) {
  const float* row = problem.pair + static_cast<int64_t>(c) * problem.n_candidates;
  float sum = problem.linear[c];
  for (int32_t i = 0; i < set.size; ++i) {
    if (set.members[i] != c) sum += row[set.members[i]];
  }
  return sum;
}

/// Facts that decide the violation. Prices are summed in double precision, where money is exact.
struct Tally {
  int32_t size = 0;
  int32_t n_must_have = 0;
  int32_t n_forbidden = 0;
  int32_t n_categories = 0;
  double price = 0.0;
};

SHEAF_HD inline float violation_of(const ProblemView& problem, const Tally& tally) {
  int32_t wrong = problem.n_must_have - tally.n_must_have + tally.n_forbidden;
  if (tally.size < problem.min_size) wrong += problem.min_size - tally.size;
  if (tally.size > problem.max_size) wrong += tally.size - problem.max_size;
  if (tally.n_categories < problem.min_categories) wrong += problem.min_categories - tally.n_categories;
  const double budget = problem.budget;
  const double over = tally.price - budget;
  double relative = over > 0.0 ? over / (budget > 1.0 ? budget : 1.0) : 0.0;
  if (tally.price != tally.price) relative = static_cast<double>(std::numeric_limits<float>::max());
  return static_cast<float>(static_cast<double>(wrong) + relative);
}

/// Members of the set, `c` itself not counted, that share the category of c.
SHEAF_HD inline int32_t same_category(const ProblemView& problem, const Individual& set, int32_t c) {
  int32_t same = 0;
  for (int32_t i = 0; i < set.size; ++i) {
    const int32_t m = set.members[i];
    if (m != c && problem.category[m] == problem.category[c]) ++same;
  }
  return same;
}

SHEAF_HD inline Tally tally_of(const ProblemView& problem, const Individual& set) {
  Tally tally;
  tally.size = set.size;
  for (int32_t i = 0; i < set.size; ++i) {
    const int32_t m = set.members[i];
    tally.n_must_have += (problem.flags[m] & kMustHave) != 0 ? 1 : 0;
    tally.n_forbidden += (problem.flags[m] & kForbidden) != 0 ? 1 : 0;
    tally.price += static_cast<double>(problem.price[m]);
    bool is_first = true;
    for (int32_t j = 0; j < i; ++j) is_first = is_first && problem.category[set.members[j]] != problem.category[m];
    tally.n_categories += is_first ? 1 : 0;
  }
  return tally;
}

/// Value and violation from nothing. A NaN value becomes -inf, so that the order below stays total.
SHEAF_HD inline void evaluate(const ProblemView& problem, Individual& set) {
  float value = 0.0f;
  for (int32_t i = 0; i < set.size; ++i) {
    const int32_t m = set.members[i];
    const float* row = problem.pair + static_cast<int64_t>(m) * problem.n_candidates;
    value += problem.linear[m];
    for (int32_t j = 0; j < i; ++j) value += row[set.members[j]];
  }
  set.value = value == value ? value : -std::numeric_limits<float>::infinity();
  set.violation = violation_of(problem, tally_of(problem, set));
}

/// Feasible before infeasible; feasible by value, infeasible by violation. 1: the first wins, -1: the second, 0: equal.
SHEAF_HD inline int compare_quality(float violation_a, float value_a, float violation_b, float value_b) {
  if (violation_a != violation_b) return violation_a < violation_b ? 1 : -1;
  if (violation_a > 0.0f || value_a == value_b) return 0;
  return value_a > value_b ? 1 : -1;
}

/// The order of evolve.hpp; false when the sets are equal.
SHEAF_HD inline bool ranks_before(const Individual& a, const Individual& b) {
  const int quality = compare_quality(a.violation, a.value, b.violation, b.value);
  if (quality != 0) return quality > 0;
  for (int32_t i = 0; i < a.size && i < b.size; ++i) {
    if (a.members[i] != b.members[i]) return a.members[i] < b.members[i];
  }
  return a.size < b.size;
}

SHEAF_HD inline bool same_set(const Individual& a, const Individual& b) {
  bool same = true;
  for (int word = 0; word < kMaxCandidates / 32; ++word) same = same && a.mask[word] == b.mask[word];
  return same;
}

/// Numbers of one individual for one purpose, one after the other. Columns: individual * 2^16 + number.
class Draws {
 public:
  SHEAF_HD Draws(uint64_t seed, Purpose purpose, int64_t problem_id, int32_t step, int32_t individual)
      : key_{seed, purpose, static_cast<uint32_t>(step)},
        row_(static_cast<uint64_t>(problem_id) & ((uint64_t{1} << 56) - 1)),
        column_(static_cast<uint32_t>(individual) << 16) {}
  SHEAF_HD uint32_t next() {
    if (column_ % 4 == 0) four_ = random4(key_, row_, column_ / 4);
    return four_.v[column_++ % 4];
  }
  /// Uniform in [0, n); 0 for n < 1.
  SHEAF_HD int32_t below(int32_t n) {
    return n < 1 ? 0 : static_cast<int32_t>(bounded(next(), static_cast<uint32_t>(n)));
  }

 private:
  RandomKey key_;
  uint64_t row_;
  uint32_t column_;
  Random4 four_{};
};

/// A random allowed candidate outside the set, or -1.
SHEAF_HD inline int32_t draw_outsider(const ProblemView& problem, const Individual& set, Draws& draws) {
  const int32_t start = draws.below(problem.n_allowed);
  for (int32_t step = 0; step < problem.n_allowed; ++step) {
    const int32_t c = problem.allowed[(start + step) % problem.n_allowed];
    if (!contains(set, c)) return c;
  }
  return -1;
}

/// Exchange `out` for `in`; -1 for neither.
struct Move {
  int32_t in = -1;
  int32_t out = -1;
  float violation = 0.0f;
  float value = 0.0f;
};

SHEAF_HD inline void apply(const ProblemView& problem, const Move& move, Individual& set) {
  if (move.out >= 0) erase(set, move.out);
  if (move.in >= 0) insert(set, move.in);
  evaluate(problem, set);
}

/// The best single add, drop or swap: lowest violation, then highest value, then first found. `set` is evaluated.
/// The value after a move is predicted from gains; apply() computes it anew.
SHEAF_HD inline Move best_move(const ProblemView& problem, const Individual& set) {
  const Tally now = tally_of(problem, set);
  float loss[kMaxSize];     // what dropping a member costs
  int32_t alike[kMaxSize];  // other members of its category
  for (int32_t i = 0; i < set.size; ++i) {
    loss[i] = gain(problem, set, set.members[i]);
    alike[i] = same_category(problem, set, set.members[i]);
  }
  Move best;
  best.violation = std::numeric_limits<float>::infinity();
  for (int32_t a = -1; a < problem.n_allowed; ++a) {
    const int32_t in = a < 0 ? -1 : static_cast<int32_t>(problem.allowed[a]);
    if (in >= 0 && contains(set, in)) continue;
    const float gained = in < 0 ? 0.0f : gain(problem, set, in);
    const int32_t alike_in = in < 0 ? 0 : same_category(problem, set, in);
    for (int32_t i = in < 0 ? 0 : -1; i < set.size; ++i) {
      if (i < 0 && set.size >= kMaxSize) continue;
      Move move;
      move.in = in;
      Tally after = now;
      move.value = set.value + gained;
      int32_t alike_left = alike_in;
      if (i >= 0) {
        const int32_t out = set.members[i];
        move.out = out;
        --after.size;
        after.n_must_have -= (problem.flags[out] & kMustHave) != 0 ? 1 : 0;
        after.n_forbidden -= (problem.flags[out] & kForbidden) != 0 ? 1 : 0;
        after.n_categories -= alike[i] == 0 ? 1 : 0;
        after.price -= static_cast<double>(problem.price[out]);
        move.value -= loss[i];
        if (in >= 0) {
          move.value -= problem.pair[static_cast<int64_t>(in) * problem.n_candidates + out];
          if (problem.category[in] == problem.category[out]) --alike_left;
        }
      }
      if (in >= 0) {
        ++after.size;
        after.n_must_have += (problem.flags[in] & kMustHave) != 0 ? 1 : 0;
        after.n_categories += alike_left == 0 ? 1 : 0;
        after.price += static_cast<double>(problem.price[in]);
      }
      move.violation = violation_of(problem, after);
      if (move.violation < best.violation || (move.violation == best.violation && move.value > best.value)) best = move;
    }
  }
  return best;
}

inline constexpr int kMostRepairs = 2 * static_cast<int>(kMaxSize);
inline constexpr int kMostImprovements = 256;

/// Takes best moves while each lowers the violation. Leaves the set evaluated.
SHEAF_HD inline void repair(const ProblemView& problem, Individual& set) {
  evaluate(problem, set);
  for (int step = 0; step < kMostRepairs && set.violation > 0.0f; ++step) {
    const Move move = best_move(problem, set);
    if (move.in < 0 && move.out < 0) return;
    Individual next = set;
    apply(problem, move, next);
    if (!(next.violation < set.violation)) return;
    set = next;
  }
}

/// Takes best moves while each makes an evaluated set rank higher.
SHEAF_HD inline void improve(const ProblemView& problem, Individual& set) {
  for (int step = 0; step < kMostImprovements; ++step) {
    const Move move = best_move(problem, set);
    if (move.in < 0 && move.out < 0) return;
    Individual next = set;
    apply(problem, move, next);
    if (compare_quality(next.violation, next.value, set.violation, set.value) <= 0) return;
    set = next;
  }
}

/// Must-have candidates, as many as fit.
SHEAF_HD inline void insert_must_haves(const ProblemView& problem, Individual& set) {
  for (int32_t a = 0; a < problem.n_allowed && set.size < problem.max_size; ++a) {
    const int32_t c = problem.allowed[a];
    if ((problem.flags[c] & kMustHave) != 0 && !contains(set, c)) insert(set, c);
  }
}

/// Individual 0 starts from the must-haves alone, so that repair builds it greedily; the others are random.
SHEAF_HD inline void initialise(const ProblemView& problem, uint64_t seed, int64_t problem_id, int32_t individual,
                                Individual& set) {
  Draws draws(seed, Purpose::search_init, problem_id, 0, individual);
  clear(set);
  insert_must_haves(problem, set);
  if (individual > 0) {
    const int32_t target = problem.min_size + draws.below(problem.max_size - problem.min_size + 1);
    while (set.size < target) {
      const int32_t c = draw_outsider(problem, set, draws);
      if (c < 0) break;
      insert(set, c);
    }
  }
  repair(problem, set);
}

/// The intersection of both parents, filled from their union by gain to the size of one of them.
SHEAF_HD inline void cross(const ProblemView& problem, const Individual& a, const Individual& b, Draws& draws,
                           Individual& child) {
  const int32_t target = draws.below(2) == 0 ? a.size : b.size;
  clear(child);
  for (int32_t i = 0; i < a.size; ++i) {
    if (contains(b, a.members[i])) insert(child, a.members[i]);
  }
  while (child.size < target) {
    int32_t best = -1;
    float best_gain = 0.0f;
    for (int32_t i = 0; i < a.size + b.size; ++i) {
      const int32_t c = i < a.size ? a.members[i] : b.members[i - a.size];
      if (contains(child, c)) continue;
      const float candidate_gain = gain(problem, child, c);
      if (best < 0 || candidate_gain > best_gain || (candidate_gain == best_gain && c < best)) {
        best = c;
        best_gain = candidate_gain;
      }
    }
    if (best < 0) break;
    insert(child, best);
  }
}

/// Swaps (half of the time), adds or drops one random member.
SHEAF_HD inline void mutate(const ProblemView& problem, Draws& draws, Individual& set) {
  const int32_t kind = draws.below(4);
  const bool adds = kind == 2 || set.size == 0;
  const bool drops = kind == 3 && set.size > 0;
  const int32_t c = drops ? -1 : draw_outsider(problem, set, draws);
  if (!adds && set.size > 0 && (drops || c >= 0)) erase(set, set.members[draws.below(set.size)]);
  if (c >= 0 && set.size < problem.max_size) insert(set, c);
}

/// `sorted` is the last generation, best first. Children of equal parents are always mutated: they would be copies.
SHEAF_HD inline void breed(const ProblemView& problem, const EvolveParams& params, int64_t problem_id,
                           int32_t generation, int32_t individual, const Individual* sorted, Individual& child) {
  Draws select(params.seed, Purpose::search_select, problem_id, generation, individual);
  int32_t parents[2];
  for (int32_t& parent : parents) {
    parent = select.below(params.population);
    for (int32_t round = 1; round < params.tournament; ++round) {
      const int32_t rival = select.below(params.population);
      if (rival < parent) parent = rival;
    }
  }
  const Individual& a = sorted[parents[0]];
  const Individual& b = sorted[parents[1]];
  Draws crossing(params.seed, Purpose::search_cross, problem_id, generation, individual);
  cross(problem, a, b, crossing, child);
  Draws mutation(params.seed, Purpose::search_mutate, problem_id, generation, individual);
  if (uniform01(mutation.next()) < params.mutation_rate || same_set(a, b)) mutate(problem, mutation, child);
  insert_must_haves(problem, child);
  repair(problem, child);
}

}  // namespace sheaf::genetic
