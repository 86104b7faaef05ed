#pragma once
/// One chain (local search): its state, the judging of moves, and the improvement of a set. It is written once for all
/// backends: a Team (lane group: a vector unit of the CPU, or a warp) runs it together. The control flow is the same in
/// all lanes of a team. All decisions rest on maxima, which do not depend on the order of evaluation.
///
/// A Team offers:
/// - V, a float or a vector of them; load(p, j); store(p, j, v);
/// - lanes(stride, f): f(j) for the lanes' shares of 0 .. stride - 1, then a barrier;
/// - reduce(V score, V code): the highest score, and of equal scores the lowest code;
/// - members(mask, f): f(rank, i) for the members, each by one lane, then a barrier;
/// - leader(f): one lane runs f, then a barrier;
/// - ids(j): the V of places j, j + 1 ...; conflicts(view, i, j): V of 0 or 1; draw(key ...): four random words.
/// Nothing here may be an ordinary inline function, because the files that include it are compiled for different
/// processors.

#include <cstdint>

#include "kernels/genetic/search.hpp"

/// In a CUDA source, teams exist on the device only. Code that is used in several places stays a call there, and loops
/// over limits stay loops: with all of it inlined and unrolled, ptxas takes minutes.
#if defined(__CUDACC__)
#define SHEAF_TEAM __device__
#define SHEAF_TEAM_CALL __device__ __noinline__
#define SHEAF_ROLLED _Pragma("unroll 1")
#else
#define SHEAF_TEAM
#define SHEAF_TEAM_CALL
#define SHEAF_ROLLED
#endif

namespace sheaf::genetic {

inline constexpr int32_t kNone = kMaxCandidates;  // no candidate
inline constexpr float kNever = -__builtin_huge_valf();

/// A prepared problem: rows padded to `stride` candidates.
struct SearchView {
  int32_t n = 0, stride = 0, n_limits = 0, min_size = 0, max_size = 0, min_categories = 0;
  const float* linear = nullptr;  // [stride]
  const float* pair = nullptr;    // [n, stride]
  const float* weight = nullptr;  // [n_limits, stride]
  const double* upper = nullptr;  // [n_limits]
  const float* closed = nullptr;  // [stride] 0, or -inf for forbidden candidates and padding
  /// [stride] the lowest candidate of its category. Null without side rules, like the next ones.
  const float* category = nullptr;
  const float* category_min = nullptr;
  const float* category_max = nullptr;
  const float* conflict_rows = nullptr;     // [n, stride] 1 for conflicts, or null
  const uint32_t* conflict_bits = nullptr;  // [n, kMaskWords], or null
  const uint32_t* must = nullptr;           // [kMaskWords]
  const float* cost = nullptr;  // [stride] greedy's price of a candidate: the largest weight / upper, at least 2^-20
  const float* heaviest = nullptr;  // [n_limits] largest |weight|
};

/// A member that may leave, or none: what the set would be without it.
template <int kLimits>
struct SwapRow {
  const float* pair;
  float loss;      // h of the member
  float bar;       // -inf while it must stay (tabu), unless a new best is reached
  float wrong;     // broken counts without it, the newcomer's share left out
  float distinct;  // categories without it
  float category;
  int32_t id;
  float room[kLimits];
};

/// Memory of a chain. The arrays have `stride` elements, `rows` one more than a set may hold.
template <int kLimits>
struct ChainMemory {
  float* h;
  float* until;     // last iteration of a tabu
  float* in;        // 0 outside, -inf for members and closed ones
  float* count;     // members of the candidate's category
  float* conflict;  // members in conflict with the candidate
  float* x;         // of the relaxed choice
  SwapRow<kLimits>* rows;
  uint32_t* mask;       // [kMaskWords]
  uint32_t* best_mask;  // [kMaskWords]
};

struct ChainJob {
  SearchParams params;
  int64_t problem_id;
  int32_t round;  // counted over all calls
  int32_t chain;
  const SearchSet* pool;  // [params.chains] of the round before; null in the first
};

template <class Team, int kLimits, bool kSide>
class Chain {
  using V = typename Team::V;

 public:
  SHEAF_TEAM Chain(const Team& team, const SearchView& view, const ChainMemory<kLimits>& memory, const ChainJob& job)
      : team_(team), view_(view), m_(memory), job_(job) {}

  // ---- state ------------------------------------------------------------------------------------

  SHEAF_TEAM_CALL void clear() {
    team_.lanes(view_.stride, [&](int32_t j) {
      team_.store(m_.h, j, team_.load(view_.linear, j));
      team_.store(m_.in, j, team_.load(view_.closed, j));
      team_.store(m_.until, j, V{});
      if constexpr (kSide) {
        team_.store(m_.count, j, V{});
        team_.store(m_.conflict, j, V{});
      }
    });
    team_.leader([&] {
      for (int32_t w = 0; w < kMaskWords; ++w) m_.mask[w] = 0;
    });
    value_ = 0.0f;
    size_ = 0;
    conflicts_ = 0.0f;
    distinct_ = 0.0f;
    category_wrong_ = 0.0f;
    for (int32_t r = 0; r < kLimits; ++r) load_[r] = 0.0;
    if constexpr (kSide) category_wrong_ = missing_of_all_categories();
  }

  SHEAF_TEAM bool has(int32_t i) const { return (m_.mask[i / 32] >> (i % 32) & 1u) != 0; }
  SHEAF_TEAM bool must(int32_t i) const { return (view_.must[i / 32] >> (i % 32) & 1u) != 0; }
  SHEAF_TEAM int32_t size() const { return size_; }

  SHEAF_TEAM void add(int32_t i) {
    value_ += m_.h[i];
    ++size_;
    change<1>(i);
  }

  SHEAF_TEAM void drop(int32_t i) {
    value_ -= m_.h[i];
    --size_;
    change<-1>(i);
  }

  /// The set of `mask`, built again in ascending order, so that the value depends on the set alone. Members far beyond
  /// the largest size are left out: there are no rows for them.
  SHEAF_TEAM_CALL void rebuild(const uint32_t* mask) {
    uint32_t words[kMaskWords];
    for (int32_t w = 0; w < kMaskWords; ++w) words[w] = mask[w];
    team_.sync();
    clear();
    for (int32_t w = 0; w < kMaskWords; ++w) {
      for (uint32_t bits = words[w]; bits != 0; bits &= bits - 1) {
        const int32_t i = 32 * w + Team::lowest(bits);
        if (size_ <= view_.max_size || must(i)) add(i);
      }
    }
  }

  SHEAF_TEAM float broken_counts() const {
    float wrong = 0.0f;
    if (size_ < view_.min_size) wrong += static_cast<float>(view_.min_size - size_);
    if (size_ > view_.max_size) wrong += static_cast<float>(size_ - view_.max_size);
    for (int32_t w = 0; w < kMaskWords; ++w) wrong += static_cast<float>(Team::bits(view_.must[w] & ~m_.mask[w]));
    if constexpr (kSide) wrong += conflicts_ + category_wrong_ + deficit(distinct_);
    return wrong;
  }

  SHEAF_TEAM_CALL float violation() const {
    double broken = static_cast<double>(broken_counts());
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view_.n_limits) break;
      const double upper = view_.upper[r], over = load_[r] - upper;
      const double size = upper < 0 ? -upper : upper;
      if (over > 0.0) broken += over / (size > 1.0 ? size : 1.0);
      if (over != over) broken += 0x1.0p100;  // a weight that is no number never fits
    }
    return static_cast<float>(broken);
  }

  // ---- judging moves ----------------------------------------------------------------------------

  struct Move {
    int32_t in = kNone, out = kNone;
    float score = kNever;  // change of the value less the penalties after the move
  };

  /// The penalty of the present set.
  SHEAF_TEAM_CALL float penalty() const {
    float sum = Team::times(factor_, broken_counts());
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view_.n_limits) break;
      const float over = static_cast<float>(load_[r] - view_.upper[r]);
      if (over > 0.0f) sum += Team::times(price_[r], over);
    }
    return sum;
  }

  /// The best move that is not tabu or leads to a new best. kTabu false: of all moves.
  template <bool kTabu>
  SHEAF_TEAM_CALL Move best_move(float iteration) {
    const int32_t n_rows = lay_rows(m_.mask, kTabu ? iteration : -1.0f, true);
    const float need = best_violation_ > 0.0f ? kNever : best_value_ - value_;
    const auto judge = [&](const V& delta, const V& pen, const V& bar) -> V {
      const V score = delta - pen;
      if constexpr (!kTabu) return score;
      return pen > 0.0f ? score + bar : (delta > need ? score : score + bar);
    };
    return search_rows<kTabu>(n_rows, iteration, judge, true);
  }

  /// The outsider with the highest key (over its cost) that breaks nothing more; kNone if there is none. Once the set
  /// has its least size, the key must be positive. `skip` and `within` are masks, null for none and for all.
  SHEAF_TEAM_CALL int32_t best_newcomer(const float* key, bool per_cost, const uint32_t* skip, const uint32_t* within) {
    if (size_ >= view_.max_size) return kNone;
    lay_rows(m_.mask, -1.0f, true);
    if (size_ >= view_.n) return kNone;
    const V never = V{} + kNever;
    const float now = broken_counts() - missing_musts() - size_wrong(size_) + size_wrong(size_ + 1);
    const bool any = size_ < view_.min_size;
    V best = never, where{};
    team_.lanes(view_.stride, [&](int32_t j) {
      const SwapRow<kLimits>& row = m_.rows[0];
      V gain = team_.load(key, j);
      if (!any) gain = gain > 0.0f ? gain : never;
      if (per_cost) gain = gain / team_.load(view_.cost, j);
      gain += team_.load(m_.in, j);
      gain = wrong_after(row, j) > now ? never : gain;
      SHEAF_ROLLED
      for (int32_t r = 0; r < kLimits; ++r) {
        if (r >= view_.n_limits) break;
        const float room = row.room[r] > 0.0f ? row.room[r] : 0.0f;  // over it already: nothing that adds to it
        gain = team_.load(view_.weight + r * view_.stride, j) > room ? never : gain;
      }
      if (skip != nullptr) gain = team_.of_mask(skip, j) > 0.0f ? never : gain;
      if (within != nullptr) gain = team_.of_mask(within, j) > 0.0f ? gain : never;
      where = gain > best ? team_.ids(j) : where;
      best = gain > best ? gain : best;
    });
    evaluations_ += view_.n - size_;
    float score, id;
    team_.reduce(best, where, score, id);
    return score > kNever ? static_cast<int32_t>(id) : kNone;
  }

  /// A random acceptable move of one row: `row` a member that leaves, kNone for an add, -1 for a drop.
  SHEAF_TEAM_CALL Move random_move(int32_t row, int32_t offset, float threshold) {
    uint32_t words[kMaskWords] = {};
    if (row >= 0 && row < kNone) words[row / 32] = 1u << (row % 32);
    const float now = penalty();
    const auto judge = [&](const V& delta, const V& pen, const V&) -> V { return delta - pen + now; };
    if (row < 0) return drop_moves(judge, false, 0.0f, offset, threshold);
    const int32_t n_rows = lay_rows(words, -1.0f, row == kNone);
    return search_rows<false>(n_rows, 0.0f, judge, false, offset, threshold);
  }

  SHEAF_TEAM void apply(const Move& move) {
    if (move.out != kNone) drop(move.out);
    if (move.in != kNone) add(move.in);
  }

  // ---- improving --------------------------------------------------------------------------------

  /// Forgets the best set: the present set is the best so far.
  SHEAF_TEAM void begin() {
    best_value_ = kNever;
    best_violation_ = __builtin_huge_valf();
    note_best();
  }

  SHEAF_TEAM_CALL void note_best() {
    const float violation = this->violation();
    const bool better = violation < best_violation_ || (violation == best_violation_ && value_ > best_value_);
    if (!better) return;
    best_value_ = value_;
    best_violation_ = violation;
    team_.leader([&] {
      for (int32_t w = 0; w < kMaskWords; ++w) m_.best_mask[w] = m_.mask[w];
    });
  }

  /// Factors of the penalties from the present gains: `strength` times what a typical member brings.
  SHEAF_TEAM_CALL void set_prices(float strength) {
    const float gain = Team::times(scale(), strength);
    factor_ = gain;
    least_ = gain * 0x1.0p-8f;
    most_ = gain * 0x1.0p12f;
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view_.n_limits) break;
      price_[r] = gain / view_.heaviest[r];
    }
  }

  /// The largest |h|, never 0.
  SHEAF_TEAM_CALL float scale() const {
    V most{};
    team_.lanes(view_.stride, [&](int32_t j) {
      const V h = team_.load(m_.h, j);
      const V size = h < 0.0f ? -h : h;
      const V open = team_.load(view_.closed, j) + size;
      most = open > most ? open : most;
    });
    float score, code;
    team_.reduce(most, V{}, score, code);
    return score > 0x1.0p-100f && score < 0x1.0p100f ? score : 1.0f;
  }

  /// Best moves while they improve, at most `most_moves`.
  SHEAF_TEAM_CALL void descend(int32_t most_moves) {
    for (int32_t i = 0; i < most_moves; ++i) {
      const Move move = best_move<false>(0.0f);
      if (!(move.score > -penalty())) break;
      apply(move);
      note_best();
    }
  }

  /// Best moves under strong penalties while they improve. It ends feasible where single moves lead there.
  SHEAF_TEAM_CALL void repair() {
    set_prices(16.0f);
    for (int32_t i = 0; i < 2 * kMaxCandidates && violation() > 0.0f; ++i) {
      const Move move = best_move<false>(0.0f);
      if (!(move.score > -penalty())) break;
      apply(move);
    }
    note_best();
  }

  SHEAF_TEAM_CALL void tabu(int32_t iterations) {
    set_prices(0.5f);
    for (int32_t i = 1; i <= iterations; ++i) {
      const auto now = static_cast<float>(i);
      const Move move = best_move<true>(now);
      if (!(move.score > kNever)) return;
      apply(move);
      note_best();
      const int32_t span = 2 + size_ / 8;
      const int32_t outside = 2 + (view_.n - size_) / 8;
      const float stay = now + static_cast<float>(1 + below(span < 12 ? span : 12));
      const float away = now + static_cast<float>(1 + below(outside < 24 ? outside : 24));
      team_.leader([&] {
        if (move.in != kNone) m_.until[move.in] = stay;
        if (move.out != kNone) m_.until[move.out] = away;
      });
      adapt_prices();
    }
  }

  /// `first` and `last`: temperatures at the start and at the end.
  SHEAF_TEAM_CALL void anneal(int32_t iterations, float first, float last) {
    const float step = (last - first) / static_cast<float>(iterations);
    float temperature = first;
    for (int32_t i = 0; i < iterations; ++i, temperature += step) {
      const float threshold = -Team::times(temperature, exponential(next()));
      const int32_t kind = below(8);
      int32_t row = kind == 0 ? kNone : -1;
      if (kind > 1 && size_ > 0) row = member(below(size_));
      if (row >= 0 && row < kNone && must(row)) row = kNone;
      const Move move = random_move(row, below(view_.n), threshold);
      if (move.score > kNever) {
        apply(move);
        note_best();
      }
      adapt_prices();
    }
  }

  // ---- random numbers ---------------------------------------------------------------------------

  SHEAF_TEAM_CALL uint32_t next() {
    if (drawn_ % 4 == 0) team_.draw(job_, drawn_ / 4, four_);
    return four_[drawn_++ % 4];
  }
  SHEAF_TEAM int32_t below(int32_t n) {
    return static_cast<int32_t>(static_cast<uint64_t>(next()) * static_cast<uint32_t>(n) >> 32);
  }
  SHEAF_TEAM float uniform() { return static_cast<float>(next() >> 8) * 0x1.0p-24f; }

  /// Exponentially distributed except for the logarithm, which is linear between powers of two: the same on every
  /// machine.
  SHEAF_TEAM static float exponential(uint32_t x) {
    const uint32_t u = x | 1u;
    const int32_t zeros = Team::leading_zeros(u);
    const auto fraction = static_cast<float>((u << zeros << 1) >> 9) * 0x1.0p-23f;
    return Team::times(static_cast<float>(zeros) + (1.0f - fraction), 0.69314718f);
  }

  /// The member of a rank.
  SHEAF_TEAM_CALL int32_t member(int32_t rank) const {
    for (int32_t w = 0; w < kMaskWords; ++w) {
      uint32_t bits = m_.mask[w];
      const int32_t here = Team::bits(bits);
      if (rank >= here) {
        rank -= here;
        continue;
      }
      for (; rank > 0; --rank) bits &= bits - 1;
      return 32 * w + Team::lowest(bits);
    }
    return kNone;
  }

  SHEAF_TEAM float value() const { return value_; }
  SHEAF_TEAM float best_value() const { return best_value_; }
  SHEAF_TEAM const uint32_t* mask() const { return m_.mask; }
  SHEAF_TEAM int64_t evaluations() const { return evaluations_; }

 protected:
  template <int kSign>
  SHEAF_TEAM_CALL void change(int32_t i) {
    const float* row = view_.pair + static_cast<int64_t>(i) * view_.stride;
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view_.n_limits) break;
      const auto weight = static_cast<double>(view_.weight[r * view_.stride + i]);
      load_[r] += kSign > 0 ? weight : -weight;
    }
    float category = 0.0f;
    if constexpr (kSide) {
      category = view_.category[i];
      const float before = m_.count[i], after = before + static_cast<float>(kSign);
      conflicts_ += kSign > 0 ? m_.conflict[i] : -m_.conflict[i];
      category_wrong_ += range_wrong(i, after) - range_wrong(i, before);
      if (before == 0.0f) distinct_ += 1.0f;
      if (after == 0.0f) distinct_ -= 1.0f;
    }
    team_.sync();
    const float own = m_.h[i];
    team_.sync();
    team_.lanes(view_.stride, [&](int32_t j) {
      const V pair = team_.load(row, j), h = team_.load(m_.h, j);
      team_.store(m_.h, j, kSign > 0 ? h + pair : h - pair);
      if constexpr (kSide) {
        const V same = team_.load(view_.category, j) == category ? V{} + 1.0f : V{};
        const V count = team_.load(m_.count, j), conflict = team_.load(m_.conflict, j);
        const V clash = team_.conflicts(view_, i, j);
        team_.store(m_.count, j, kSign > 0 ? count + same : count - same);
        team_.store(m_.conflict, j, kSign > 0 ? conflict + clash : conflict - clash);
      }
    });
    team_.leader([&] {
      m_.h[i] = own;  // the diagonal does not count
      m_.mask[i / 32] ^= 1u << (i % 32);
      m_.in[i] = kSign > 0 ? kNever : view_.closed[i];
    });
  }

  SHEAF_TEAM float range_wrong(int32_t i, float count) const {
    const float low = view_.category_min[i], high = view_.category_max[i];
    return count < low ? low - count : (count > high ? count - high : 0.0f);
  }

  /// Minima of all categories, each counted at its lowest candidate.
  SHEAF_TEAM float missing_of_all_categories() const {
    float missing = 0.0f;
    for (int32_t i = 0; i < view_.n; ++i) {
      if (view_.category[i] == static_cast<float>(i)) missing += view_.category_min[i];
    }
    return missing;
  }

  SHEAF_TEAM float deficit(float distinct) const {
    const float missing = static_cast<float>(view_.min_categories) - distinct;
    return missing > 0.0f ? missing : 0.0f;
  }

  SHEAF_TEAM float size_wrong(int32_t size) const {
    const int32_t wrong =
        size < view_.min_size ? view_.min_size - size : (size > view_.max_size ? size - view_.max_size : 0);
    return static_cast<float>(wrong);
  }

  /// Broken counts except size and side rules: must-haves. They never leave, so the number only falls.
  SHEAF_TEAM void fill_row(SwapRow<kLimits>& row, int32_t i, float iteration) const {
    const bool none = i == kNone;
    row.pair = none ? nullptr : view_.pair + static_cast<int64_t>(i) * view_.stride;
    row.id = i;
    row.loss = none ? 0.0f : m_.h[i];
    row.bar = !none && m_.until[i] > iteration && iteration >= 0.0f ? kNever : 0.0f;
    row.wrong = size_wrong(none ? size_ + 1 : size_);
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view_.n_limits) break;
      const float slack = static_cast<float>(view_.upper[r] - load_[r]);
      row.room[r] = none ? slack : slack + view_.weight[r * view_.stride + i];
    }
    if constexpr (kSide) {
      row.wrong += category_wrong_ + conflicts_;
      row.distinct = distinct_;
      row.category = -1.0f;
      if (!none) {
        row.wrong += range_wrong(i, m_.count[i] - 1.0f) - range_wrong(i, m_.count[i]) - m_.conflict[i];
        row.distinct -= m_.count[i] == 1.0f ? 1.0f : 0.0f;
        row.category = view_.category[i];
      }
    }
  }

  /// Rows of the members in `mask` that may leave, and of the add; returns how many.
  SHEAF_TEAM_CALL int32_t lay_rows(const uint32_t* mask, float iteration, bool with_add) {
    const int32_t first = with_add && size_ <= view_.max_size && size_ < view_.n ? 1 : 0;
    uint32_t words[kMaskWords];
    int32_t n_rows = first;
    for (int32_t w = 0; w < kMaskWords; ++w) {
      words[w] = mask[w] & ~view_.must[w];
      n_rows += Team::bits(words[w]);
    }
    if (first > 0) {
      team_.leader([&] { fill_row(m_.rows[0], kNone, iteration); });
    }
    team_.members(words, [&](int32_t rank, int32_t i) { fill_row(m_.rows[first + rank], i, iteration); });
    return n_rows;
  }

  /// Broken rules, except the limits, after candidates j.. replace the row's member.
  SHEAF_TEAM V wrong_after(const SwapRow<kLimits>& row, int32_t j) const {
    if constexpr (!kSide) {
      return V{} + row.wrong;
    } else {
      const V one = V{} + 1.0f, zero{};
      V count = team_.load(m_.count, j);
      count = team_.load(view_.category, j) == row.category ? count - one : count;
      V wrong = team_.load(m_.conflict, j) + row.wrong;
      if (row.id != kNone) wrong -= team_.conflicts(view_, row.id, j);
      wrong += count >= team_.load(view_.category_max, j) ? one : zero;
      wrong -= count < team_.load(view_.category_min, j) ? one : zero;
      const V distinct = (count == 0.0f ? one : zero) + row.distinct;
      const V missing = static_cast<float>(view_.min_categories) - distinct;
      return wrong + (missing > 0.0f ? missing : zero);
    }
  }

  /// The best move of the prepared rows by `judge`. With an offset: the first acceptable candidate from there on, in a
  /// circle.
  template <bool kTabu, class Judge>
  SHEAF_TEAM Move search_rows(int32_t n_rows, float iteration, const Judge& judge, bool with_drops, int32_t offset = -1,
                              float threshold = 0.0f) {
    const V never = V{} + kNever, zero{};
    V best = never, where{};
    const float missing_musts = this->missing_musts();
    team_.lanes(view_.stride, [&](int32_t j) {
      const V h = team_.load(m_.h, j) + team_.load(m_.in, j);
      const V bar_in = kTabu ? (team_.load(m_.until, j) > iteration ? never : zero) : zero;
      V high = never, from{};
      for (int32_t k = 0; k < n_rows; ++k) {
        const SwapRow<kLimits>& row = m_.rows[k];
        V delta = h - row.loss;
        if (row.id != kNone) delta -= team_.load(row.pair, j);
        V pen = Team::times(factor_, wrong_after(row, j) + missing_musts);
        SHEAF_ROLLED
        for (int32_t r = 0; r < kLimits; ++r) {
          if (r >= view_.n_limits) break;
          const V over = team_.load(view_.weight + r * view_.stride, j) - row.room[r];
          pen += Team::times(price_[r], over > 0.0f ? over : zero);
        }
        V score = judge(delta, pen, kTabu ? bar_in + row.bar : zero);
        if (offset >= 0) {
          V turn = team_.ids(j) - static_cast<float>(offset);
          turn = turn < 0.0f ? turn + static_cast<float>(view_.n) : turn;
          score = score > threshold ? -turn : never;
        }
        const V id = V{} + static_cast<float>(row.id);
        from = score > high ? id : from;
        high = score > high ? score : high;
      }
      const V place = team_.ids(j) * 512.0f + from;
      where = high > best ? place : where;
      best = high > best ? high : best;
    });
    evaluations_ += static_cast<int64_t>(n_rows) * (view_.n - size_);
    Move move = decode(best, where);
    if (with_drops && size_ > 0) {
      const Move drop = drop_moves(judge, kTabu, iteration, -1, 0.0f);
      if (drop.score > move.score) move = drop;
    }
    return move;
  }

  template <class Judge>
  SHEAF_TEAM Move drop_moves(const Judge& judge, bool heed_tabu, float iteration, int32_t offset, float threshold) {
    const V never = V{} + kNever, zero{}, one = V{} + 1.0f;
    V best = never, where{};
    const float missing_musts = this->missing_musts();
    team_.lanes(view_.stride, [&](int32_t j) {
      const V inside = team_.load(m_.in, j);
      // Members are closed to adds; forbidden candidates and padding are never members.
      V delta = inside < 0.0f ? -team_.load(m_.h, j) : never;
      delta = team_.load(view_.closed, j) < 0.0f ? never : delta;
      delta = team_.of_mask(view_.must, j) > 0.0f ? never : delta;
      const V bar = heed_tabu ? (team_.load(m_.until, j) > iteration ? never : zero) : zero;
      V wrong = V{} + (size_wrong(size_ - 1) + missing_musts);
      if constexpr (kSide) {
        const V count = team_.load(m_.count, j);
        wrong += category_wrong_ + conflicts_;
        wrong -= team_.load(m_.conflict, j);
        wrong += count <= team_.load(view_.category_min, j) ? one : zero;
        wrong -= count > team_.load(view_.category_max, j) ? one : zero;
        const V missing = (count == 1.0f ? one : zero) + (static_cast<float>(view_.min_categories) - distinct_);
        wrong += missing > 0.0f ? missing : zero;
      }
      V pen = Team::times(factor_, wrong);
      SHEAF_ROLLED
      for (int32_t r = 0; r < kLimits; ++r) {
        if (r >= view_.n_limits) break;
        const V over = static_cast<float>(load_[r] - view_.upper[r]) - team_.load(view_.weight + r * view_.stride, j);
        pen += Team::times(price_[r], over > 0.0f ? over : zero);
      }
      V score = judge(delta, pen, bar);
      if (offset >= 0) {
        V turn = team_.ids(j) - static_cast<float>(offset);
        turn = turn < 0.0f ? turn + static_cast<float>(view_.n) : turn;
        score = score > threshold ? -turn : never;
      }
      where = score > best ? team_.ids(j) : where;
      best = score > best ? score : best;
    });
    evaluations_ += size_;
    Move move;
    float code;
    team_.reduce(best, where, move.score, code);
    if (move.score > kNever) move.out = static_cast<int32_t>(code);
    return move;
  }

  SHEAF_TEAM Move decode(const V& best, const V& where) const {
    Move move;
    float code;
    team_.reduce(best, where, move.score, code);
    if (!(move.score > kNever)) return move;
    const auto place = static_cast<int32_t>(code);
    move.in = place / 512;
    move.out = place % 512;
    return move;
  }

  SHEAF_TEAM float missing_musts() const {
    int32_t missing = 0;
    for (int32_t w = 0; w < kMaskWords; ++w) missing += Team::bits(view_.must[w] & ~m_.mask[w]);
    return static_cast<float>(missing);
  }

  /// Factors grow while their constraint is broken and shrink while it holds.
  SHEAF_TEAM_CALL void adapt_prices() {
    constexpr float kUp = 1.125f, kDown = 0.96875f;
    const auto turn = [&](bool broken, float& factor, float least, float most) {
      factor = broken ? Team::times(factor, kUp) : Team::times(factor, kDown);
      factor = factor < least ? least : (factor > most ? most : factor);
    };
    turn(broken_counts() > 0.0f, factor_, least_, most_);
    SHEAF_ROLLED
    for (int32_t r = 0; r < kLimits; ++r) {
      if (r >= view_.n_limits) break;
      const float heaviest = view_.heaviest[r];
      turn(load_[r] > view_.upper[r], price_[r], least_ / heaviest, most_ / heaviest);
    }
  }

  const Team team_;
  const SearchView& view_;
  const ChainMemory<kLimits> m_;
  const ChainJob job_;
  float value_ = 0.0f, best_value_ = kNever, best_violation_ = 0.0f;
  int32_t size_ = 0;
  float conflicts_ = 0.0f, distinct_ = 0.0f, category_wrong_ = 0.0f;
  double load_[kLimits];
  float price_[kLimits];
  float factor_ = 1.0f, least_ = 0.0f, most_ = 0.0f;
  int64_t evaluations_ = 0;
  uint32_t drawn_ = 0;
  uint32_t four_[4];
};

}  // namespace sheaf::genetic
