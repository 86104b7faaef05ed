#include "engine/optimize/exact_descent.hpp"

#include <algorithm>
#include <cmath>

namespace sheaf {
namespace {

constexpr size_t kMovesTried = 128;  // of the most promising ones, judged exactly

struct Move {
  double over, gain;  // both in double precision: what the limits would be broken by, and what the value would gain
  int32_t in, out;    // -1: none
};

/// The value and the sums of a set with its moves, in double precision.
class Moves {
 public:
  Moves(const BundleProblem& problem, const std::vector<LimitSum>& limits, const std::vector<int32_t>& items)
      : problem_(problem), limits_(limits), gain_(problem.linear), load_(limits.size(), 0.0) {
    const auto n = static_cast<size_t>(problem.n);
    size_ = std::ssize(items);
    member_.assign(n, 0);
    fixed_.assign(n, 0);
    for (const int32_t id : problem.must_have) fixed_[static_cast<size_t>(id)] = 1;
    for (const int32_t id : problem.forbidden) fixed_[static_cast<size_t>(id)] = 1;
    for (const int32_t id : items) {
      const auto i = static_cast<size_t>(id);
      member_[i] = 1;
      for (size_t j = 0; j < n; ++j) {
        if (j != i) gain_[j] += problem.pair[i * n + j];
      }
      for (size_t r = 0; r < load_.size(); ++r) load_[r] += problem.limits[r].weights[i];
    }
  }

  /// Those that may make the set better, the most promising first.
  std::vector<Move> promising() const {
    const double now = over(-1, -1);
    std::vector<Move> moves;
    const auto offer = [&](int32_t in, int32_t out) {
      const Move move{over(in, out), gain(in, out), in, out};
      if (move.over < now || (move.over == now && move.gain > 0.0)) moves.push_back(move);
    };
    std::vector<int32_t> inside, outside;
    for (int32_t i = 0; i < problem_.n; ++i) {
      if (fixed_[static_cast<size_t>(i)] == 0) (member_[static_cast<size_t>(i)] != 0 ? inside : outside).push_back(i);
    }
    for (const int32_t in : outside) {
      if (size_ < problem_.max_size) offer(in, -1);
      for (const int32_t out : inside) offer(in, out);
    }
    for (const int32_t out : inside) {
      if (size_ > problem_.min_size) offer(-1, out);
    }
    const auto count = static_cast<std::ptrdiff_t>(std::min(moves.size(), kMovesTried));
    std::ranges::partial_sort(moves, moves.begin() + count, [](const Move& a, const Move& b) {
      if (a.over != b.over) return a.over < b.over;
      return a.gain != b.gain ? a.gain > b.gain : std::pair(a.in, a.out) < std::pair(b.in, b.out);
    });
    moves.resize(static_cast<size_t>(count));
    return moves;
  }

 private:
  double gain(int32_t in, int32_t out) const {
    double sum = 0.0;
    if (in >= 0) sum += gain_[static_cast<size_t>(in)];
    if (out >= 0) sum -= gain_[static_cast<size_t>(out)];
    if (in >= 0 && out >= 0) sum -= problem_.pair[static_cast<size_t>(in * problem_.n + out)];
    return sum;
  }

  double over(int32_t in, int32_t out) const {
    double sum = 0.0;
    for (size_t r = 0; r < load_.size(); ++r) {
      const WeightLimit& limit = problem_.limits[r];
      double load = load_[r];
      if (in >= 0) load += limit.weights[static_cast<size_t>(in)];
      if (out >= 0) load -= limit.weights[static_cast<size_t>(out)];
      const auto add = [&](double beyond, double bound) {
        if (beyond > 0.0) sum += beyond / std::max(std::abs(bound), 1.0);
      };
      add(load - limits_[r].upper_for_certain(), limit.upper);
      add(limits_[r].lower_for_certain() - load, limit.lower);
    }
    return sum;
  }

  const BundleProblem& problem_;
  const std::vector<LimitSum>& limits_;
  int64_t size_ = 0;
  std::vector<char> member_, fixed_;
  std::vector<double> gain_, load_;
};

std::vector<int32_t> moved(const std::vector<int32_t>& items, const Move& move) {
  std::vector<int32_t> result;
  std::ranges::copy_if(items, std::back_inserter(result), [&](int32_t id) { return id != move.out; });
  if (move.in >= 0) result.insert(std::ranges::upper_bound(result, move.in), move.in);
  return result;
}

}  // namespace

JudgedSet judge(const BundleProblem& problem, const std::vector<LimitSum>& limits, const std::vector<int32_t>& items) {
  return {items, value_of(problem, items), violation_of(problem, limits, items)};
}

JudgedSet descend(const BundleProblem& problem, const std::vector<LimitSum>& limits, JudgedSet set,
                  const std::function<bool()>& stop) {
  for (bool better = true; better && !stop();) {
    better = false;
    for (const Move& move : Moves(problem, limits, set.items).promising()) {
      JudgedSet other = judge(problem, limits, moved(set.items, move));
      if (!other.is_better_than(set)) continue;
      set = std::move(other);
      better = true;
      break;
    }
  }
  return set;
}

}  // namespace sheaf
