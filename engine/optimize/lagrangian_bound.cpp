#include "engine/optimize/lagrangian_bound.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "engine/optimize/limit_sum.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();
constexpr double kBoundRounding = 1e-10;  // of the sum of all terms' sizes: far above what 2^16 additions lose
constexpr int64_t kGrain = 32;            // inner problems a thread takes: fewer cost less than waking another
constexpr int64_t kPatience = 15;         // steps without progress before they are halved

/// sum of weight <= upper.
struct Knapsack {
  std::vector<double> weight;  // [n]
  double upper;
};

struct Choice {
  double value;
  std::vector<double> part;  // [n] 0 .. 1
};

/// What both the inner and the outer problems keep of the constraints.
class Relaxation {
 public:
  explicit Relaxation(const BundleProblem& problem) : n_(static_cast<size_t>(problem.n)), max_size_(problem.max_size) {
    for (const WeightLimit& limit : problem.limits) {
      const auto add = [&](double sign, double bound) {
        if (!std::isfinite(bound)) return;
        Knapsack knapsack{limit.weights, sign * bound};
        for (double& w : knapsack.weight) w *= sign;
        knapsacks_.push_back(std::move(knapsack));
      };
      const LimitSum sum(limit);
      add(1.0, sum.upper_for_certain());
      add(-1.0, sum.lower_for_certain());
    }
    set_categories(problem);
    must_.assign(n_, 0);
    out_.assign(n_, 0);
    conflict_.assign(n_ * n_, 0);
    for (const int32_t id : problem.must_have) must_[static_cast<size_t>(id)] = 1;
    for (const int32_t id : problem.forbidden) out_[static_cast<size_t>(id)] = 1;
    const auto exclude = [&](int32_t a, int32_t b) {
      conflict_[static_cast<size_t>(a) * n_ + static_cast<size_t>(b)] = 1;
      conflict_[static_cast<size_t>(b) * n_ + static_cast<size_t>(a)] = 1;
    };
    for (const auto& [a, b] : problem.forbidden_pairs) exclude(a, b);
    for (const std::vector<int32_t>& group : problem.exclusive_groups) {
      for (const int32_t a : group) {
        for (const int32_t b : group) {
          if (a != b) exclude(a, b);
        }
      }
    }
  }

  /// An upper bound of the sum of `profit` over sets, with the point where it is reached. With `beside` >= 0: over sets
  /// that hold that candidate, whose own profit counts 0. A profit of -infinity keeps a candidate out. -infinity: there
  /// is no such set.
  Choice best(const double* profit, int64_t beside) const {
    std::vector<char> fixed(must_), open(n_, 0);
    if (beside >= 0) fixed[static_cast<size_t>(beside)] = 1;
    double sum = 0.0;
    std::vector<int32_t> order;
    for (size_t i = 0; i < n_; ++i) {
      const bool self = static_cast<int64_t>(i) == beside;
      const bool closed = out_[i] != 0 || profit[i] == -kUnbounded ||
                          (beside >= 0 && !self && conflict_[static_cast<size_t>(beside) * n_ + i] != 0);
      if (fixed[i] != 0) {
        if (closed) return {-kUnbounded, {}};
        if (!self) sum += profit[i];
      } else if (!closed) {
        open[i] = 1;
        if (profit[i] > 0.0) order.push_back(static_cast<int32_t>(i));
      }
    }
    Choice least = largest_terms(profit, fixed, order);
    for (const Knapsack& knapsack : knapsacks_) {
      Choice other = fill(knapsack, profit, fixed, open, order);
      if (other.value < least.value) least = std::move(other);
    }
    if (least.value == -kUnbounded) return least;
    least.value += sum;
    for (size_t i = 0; i < n_; ++i) {
      if (fixed[i] != 0) least.part[i] = 1.0;
    }
    return least;
  }

 private:
  void set_categories(const BundleProblem& problem) {
    category_.assign(n_, -1);
    std::map<int32_t, int32_t> places;
    for (const CategoryRange& range : problem.category_ranges) {
      places[range.category] = static_cast<int32_t>(category_max_.size());
      category_max_.push_back(range.max_items);
    }
    if (problem.category.empty()) return;
    for (size_t i = 0; i < n_; ++i) {
      const auto found = places.find(problem.category[i]);
      if (found != places.end()) category_[i] = found->second;
    }
  }

  /// The largest profits, no more than the sizes leave room for: greedy is optimal on this matroid.
  Choice largest_terms(const double* profit, const std::vector<char>& fixed, std::vector<int32_t>& order) const {
    Choice choice{0.0, std::vector<double>(n_, 0.0)};
    int64_t room = max_size_;
    std::vector<int32_t> left = category_max_;
    for (size_t i = 0; i < n_; ++i) {
      if (fixed[i] == 0) continue;
      --room;
      if (category_[i] >= 0 && --left[static_cast<size_t>(category_[i])] < 0) return {-kUnbounded, {}};
    }
    if (room < 0) return {-kUnbounded, {}};
    const bool all = category_max_.empty() && room >= static_cast<int64_t>(order.size());
    if (!all) {
      std::ranges::sort(order,
                        [&](int32_t a, int32_t b) { return profit[a] != profit[b] ? profit[a] > profit[b] : a < b; });
    }
    for (const int32_t id : order) {
      const auto i = static_cast<size_t>(id);
      if (room == 0) break;
      if (category_[i] >= 0 && --left[static_cast<size_t>(category_[i])] < 0) continue;
      --room;
      choice.value += profit[i];
      choice.part[i] = 1.0;
    }
    return choice;
  }

  /// The continuous knapsack. What has a negative weight is taken where it pays, and makes room whether or not it pays.
  Choice fill(const Knapsack& knapsack, const double* profit, const std::vector<char>& fixed,
              const std::vector<char>& open, const std::vector<int32_t>& wanted) const {
    Choice choice{0.0, std::vector<double>(n_, 0.0)};
    double room = knapsack.upper;
    for (size_t i = 0; i < n_; ++i) {
      if (fixed[i] != 0) room -= knapsack.weight[i];
      if (open[i] != 0 && knapsack.weight[i] < 0.0) room -= knapsack.weight[i];
    }
    if (room < 0.0) return {-kUnbounded, {}};
    std::vector<std::pair<double, int32_t>> order;
    for (const int32_t id : wanted) {
      const auto i = static_cast<size_t>(id);
      if (knapsack.weight[i] <= 0.0) {
        choice.value += profit[i];
        choice.part[i] = 1.0;
      } else {
        order.emplace_back(-profit[i] / knapsack.weight[i], id);
      }
    }
    std::ranges::sort(order);
    for (const auto& [ratio, id] : order) {
      const auto i = static_cast<size_t>(id);
      const double part = std::min(1.0, room / knapsack.weight[i]);
      choice.value += part * profit[i];
      choice.part[i] = part;
      room -= part * knapsack.weight[i];
      if (part < 1.0) break;
    }
    return choice;
  }

  size_t n_;
  int64_t max_size_;
  std::vector<Knapsack> knapsacks_;
  std::vector<int32_t> category_;      // [n] place in category_max_, -1 for none
  std::vector<int32_t> category_max_;  // of the categories with a range
  std::vector<char> must_, out_;       // [n]
  std::vector<char> conflict_;         // [n, n]
};

/// The split of the pair terms, and one evaluation of the bound for it.
class Split {
 public:
  explicit Split(const BundleProblem& problem)
      : problem_(problem), n_(static_cast<size_t>(problem.n)), relaxation_(problem), share_(problem.pair), inner_(n_) {
    for (double& a : share_) a *= 0.5;
    for (size_t i = 0; i < n_; ++i) share_[i * n_ + i] = 0.0;
  }

  double evaluate(Context& context) {
    std::vector<double> profit(n_);
    parallel_for(context, static_cast<int64_t>(n_), kGrain, [&](int64_t first, int64_t last) {
      for (int64_t j = first; j < last; ++j) {
        const auto at = static_cast<size_t>(j);
        inner_[at] = relaxation_.best(share_.data() + at * n_, j);
        profit[at] = problem_.linear[at] + inner_[at].value;
      }
    });
    outer_ = relaxation_.best(profit.data(), -1);
    return outer_.value;
  }

  /// Moves the split against the subgradient of the last evaluation; false where that is 0: the bound is the least.
  bool step(double excess) {
    double norm = 0.0;
    const auto slope = [&](size_t i, size_t j) {
      const auto taken = [&](size_t a, size_t b) {
        return outer_.part[a] > 0.0 ? outer_.part[a] * inner_[a].part[b] : 0.0;
      };
      return taken(i, j) - taken(j, i);
    };
    for (size_t i = 0; i < n_; ++i) {
      for (size_t j = 0; j < i; ++j) norm += slope(i, j) * slope(i, j);
    }
    if (norm <= 0.0) return false;
    const double length = excess / norm;
    for (size_t i = 0; i < n_; ++i) {
      for (size_t j = 0; j < i; ++j) {
        const double move = length * slope(i, j);
        share_[i * n_ + j] -= move;
        share_[j * n_ + i] = problem_.pair[i * n_ + j] - share_[i * n_ + j];
      }
    }
    return true;
  }

  double magnitude() const {
    double sum = 0.0;
    for (const double a : problem_.linear) sum += std::abs(a);
    for (const double a : share_) sum += std::abs(a);
    return sum;
  }

 private:
  const BundleProblem& problem_;
  size_t n_;
  Relaxation relaxation_;
  std::vector<double> share_;  // [n, n]; share[i, j] + share[j, i] = pair[i, j]
  std::vector<Choice> inner_;  // [n]
  Choice outer_{0.0, {}};
};

}  // namespace

UpperBound upper_bound(Context& context, const BundleProblem& problem, const BoundParams& params) {
  problem.validate();
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  Split split(problem);
  UpperBound result{kUnbounded, 0, 0.0};
  double factor = 1.0;
  int64_t since = 0;
  const auto rounded = [&](double bound) {
    const double safe = bound + kBoundRounding * split.magnitude();
    return problem.integral ? std::floor(safe) : safe;
  };
  while (true) {
    check_interrupt("the upper bound");
    const double raw = split.evaluate(context);
    const double bound = raw == -kUnbounded ? raw : rounded(raw);
    ++result.steps;
    since = bound < result.bound ? 0 : since + 1;
    result.bound = std::min(result.bound, bound);
    if (raw == -kUnbounded || (params.has_value && result.bound <= params.value)) break;
    if (result.steps >= params.steps || (params.time_limit > 0.0 && seconds() >= params.time_limit)) break;
    if (since >= kPatience) {
      factor *= 0.5;
      since = 0;
    }
    // Without a value the aim is a hundredth below the best bound, as usual.
    const double aim = params.has_value ? params.value : result.bound - 0.01 * std::max(1.0, std::abs(result.bound));
    if (!split.step(factor * std::max(raw - aim, 1e-12 * std::max(1.0, std::abs(raw))))) break;
  }
  result.seconds = seconds();
  return result;
}

double gap_of(double bound, double value) {
  if (bound <= value) return 0.0;
  return value == 0.0 ? kUnbounded : (bound - value) / std::abs(value);
}

}  // namespace sheaf
