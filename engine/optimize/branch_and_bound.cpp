#include "engine/optimize/branch_and_bound.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>

#include "engine/optimize/limit_sum.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kValueRounding = 1e-11;  // of all terms' sizes: what rounding may hide is searched
constexpr int64_t kNodesBetweenClocks = 2048;

/// What the candidates from one place of the order on can add to a limit.
struct Rest {
  double low = 0.0, high = 0.0;  // sums of the negative, the positive weights
  double least = kInfinity, most = -kInfinity;
};

class Branches {
 public:
  Branches(const BundleProblem& problem, const ExactParams& params)
      : problem_(problem),
        params_(params),
        n_(static_cast<size_t>(problem.n)),
        limits_(limit_sums(problem)),
        start_(std::chrono::steady_clock::now()) {
    best_ = -kInfinity;
    if (!params.start.empty() && !(violation_of(problem, limits_, params.start) > 0.0)) {
      best_items_ = params.start;
      std::ranges::sort(best_items_);
      best_ = value_of(problem, best_items_);
      found_ = true;
    }
    blocked_.assign(n_, 0);
    conflicts_.resize(n_);
    gain_ = problem.linear;
    load_.assign(problem.limits.size(), 0.0);
    set_categories();
    set_conflicts();
    double magnitude = 0.0;
    for (const double a : problem.linear) magnitude += std::abs(a);
    for (const double a : problem.pair) magnitude += std::abs(a);
    margin_ = problem.integral ? -0.5 : magnitude * kValueRounding;
  }

  BundleAnswer run() {
    const std::set<int32_t> must(problem_.must_have.begin(), problem_.must_have.end());
    const std::set<int32_t> out(problem_.forbidden.begin(), problem_.forbidden.end());
    bool clash = false;
    for (const int32_t id : must) {
      clash = clash || out.contains(id) || blocked_[static_cast<size_t>(id)] > 0;
      add(id);
    }
    for (int32_t id = 0; id < problem_.n; ++id) {
      if (!must.contains(id) && !out.contains(id) && blocked_[static_cast<size_t>(id)] == 0) order_.push_back(id);
    }
    if (!clash) {
      set_halves();
      set_rests();
      scratch_.resize(order_.size());
      descend(0);
    }
    BundleAnswer answer;
    answer.method = SearchMethod::exact;
    answer.items = best_items_;
    answer.value = value_of(problem_, best_items_);
    answer.violation = violation_of(problem_, limits_, best_items_);
    answer.feasible = found_;
    answer.evaluations = nodes_;
    answer.proven = !late_;
    answer.interrupted = interrupted_;
    if (!late_ && found_ && !params_.any_feasible) answer.upper_bound = answer.value;
    answer.seconds = seconds();
    return answer;
  }

 private:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

  void set_categories() {
    std::map<int32_t, int32_t> places;
    for (const int32_t category : problem_.category) places.emplace(category, static_cast<int32_t>(places.size()));
    for (const CategoryRange& range : problem_.category_ranges) {
      places.emplace(range.category, static_cast<int32_t>(places.size()));
    }
    category_min_.assign(places.size(), 0);
    category_max_.assign(places.size(), static_cast<int64_t>(n_));
    count_.assign(places.size(), 0);
    for (const CategoryRange& range : problem_.category_ranges) {
      const auto place = static_cast<size_t>(places[range.category]);
      category_min_[place] = range.min_items;
      category_max_[place] = range.max_items;
      lacking_ += range.min_items;
    }
    category_.assign(n_, -1);
    for (size_t i = 0; i < problem_.category.size(); ++i) category_[i] = places[problem_.category[i]];
  }

  void set_conflicts() {
    const auto exclude = [&](int32_t a, int32_t b) { conflicts_[static_cast<size_t>(a)].push_back(b); };
    for (const auto& [a, b] : problem_.forbidden_pairs) {
      exclude(a, b);
      exclude(b, a);
    }
    for (const std::vector<int32_t>& group : problem_.exclusive_groups) {
      for (const int32_t a : group) {
        for (const int32_t b : group) {
          if (a != b) exclude(a, b);
        }
      }
    }
  }

  int64_t room() const {
    return std::min(problem_.max_size - static_cast<int64_t>(items_.size()), static_cast<int64_t>(order_.size()));
  }

  /// Sets half_[m, i], half of the m largest positive pair terms of candidate i, for m up to the room; and the order by
  /// promise.
  void set_halves() {
    const int64_t most = std::max<int64_t>(0, room());
    half_.assign(static_cast<size_t>(most + 1) * n_, 0.0);
    std::vector<double> terms;
    for (const int32_t id : order_) {
      const auto i = static_cast<size_t>(id);
      terms.clear();
      for (const int32_t other : order_) {
        if (other != id) terms.push_back(std::max(0.0, problem_.pair[i * n_ + static_cast<size_t>(other)]));
      }
      std::ranges::sort(terms, std::greater<>());
      for (size_t m = 1; m <= static_cast<size_t>(most); ++m) {
        half_[m * n_ + i] = half_[(m - 1) * n_ + i] + (m <= terms.size() ? 0.5 * terms[m - 1] : 0.0);
      }
    }
    const size_t last = static_cast<size_t>(std::max<int64_t>(0, most - 1)) * n_;
    std::ranges::stable_sort(order_, [&](int32_t a, int32_t b) {
      const auto promise = [&](int32_t id) {
        return gain_[static_cast<size_t>(id)] + half_[last + static_cast<size_t>(id)];
      };
      return promise(a) > promise(b);
    });
  }

  void set_rests() {
    const size_t places = order_.size() + 1;
    rest_.assign(problem_.limits.size() * places, {});
    for (size_t r = 0; r < problem_.limits.size(); ++r) {
      for (size_t place = order_.size(); place-- > 0;) {
        Rest rest = rest_[r * places + place + 1];
        const double w = problem_.limits[r].weights[static_cast<size_t>(order_[place])];
        (w < 0.0 ? rest.low : rest.high) += w;
        rest.least = std::min(rest.least, w);
        rest.most = std::max(rest.most, w);
        rest_[r * places + place] = rest;
      }
    }
    left_.assign(count_.size() * places, 0);
    for (size_t c = 0; c < count_.size(); ++c) {
      for (size_t place = order_.size(); place-- > 0;) {
        const bool here = category_[static_cast<size_t>(order_[place])] == static_cast<int32_t>(c);
        left_[c * places + place] = left_[c * places + place + 1] + (here ? 1 : 0);
      }
    }
  }

  void add(int32_t id) { change(id, 1); }
  void remove(int32_t id) { change(id, -1); }

  void change(int32_t id, int sign) {
    const auto i = static_cast<size_t>(id);
    if (sign > 0) {
      items_.push_back(id);
      value_.push_back((value_.empty() ? 0.0 : value_.back()) + gain_[i]);
      saved_gain_.resize(std::max(saved_gain_.size(), items_.size()));
      saved_load_.resize(saved_gain_.size());
      saved_gain_[items_.size() - 1] = gain_;
      saved_load_[items_.size() - 1] = load_;
      for (size_t j = 0; j < n_; ++j) {
        if (j != i) gain_[j] += problem_.pair[i * n_ + j];
      }
      for (size_t r = 0; r < load_.size(); ++r) load_[r] += problem_.limits[r].weights[i];
    } else {
      items_.pop_back();
      value_.pop_back();
      // Restored, not subtracted: rounding does not grow with the number of steps.
      gain_.swap(saved_gain_[items_.size()]);
      load_.swap(saved_load_[items_.size()]);
    }
    for (const int32_t other : conflicts_[i]) blocked_[static_cast<size_t>(other)] += sign;
    if (category_[i] < 0) return;
    const auto c = static_cast<size_t>(category_[i]);
    const int64_t before = count_[c];
    count_[c] += sign;
    if (before + std::min(sign, 0) < category_min_[c]) lacking_ -= sign;
    if (before + std::min(sign, 0) == 0) distinct_ += sign;
  }

  double value() const { return value_.empty() ? 0.0 : value_.back(); }

  /// Can the constraints still be met by at least `least` and at most `room` of the candidates from `place` on?
  bool can_be_met(size_t place, int64_t least, int64_t room) const {
    if (least > room || lacking_ > room) return false;
    const size_t places = order_.size() + 1;
    int64_t more = 0;
    for (size_t c = 0; c < count_.size(); ++c) {
      const int64_t left = left_[c * places + place];
      if (count_[c] > category_max_[c] || count_[c] + left < category_min_[c]) return false;
      more += count_[c] == 0 && left > 0 && category_max_[c] > 0 ? 1 : 0;
    }
    if (distinct_ + std::min(more, room) < problem_.min_categories) return false;
    for (size_t r = 0; r < load_.size(); ++r) {
      const Rest& rest = rest_[r * places + place];
      double low = rest.low, high = rest.high;
      if (room > 0) {
        const auto with = [](int64_t count, double weight) {
          return count > 0 ? static_cast<double>(count) * weight : 0.0;
        };
        low = std::max(low, with(rest.least < 0.0 ? room : least, rest.least));
        high = std::min(high, with(rest.most > 0.0 ? room : least, rest.most));
      }
      // Sums in double precision prune only what is broken for certain; violation_of() decides.
      if (load_[r] + low > limits_[r].upper_for_certain() || load_[r] + high < limits_[r].lower_for_certain()) {
        return false;
      }
    }
    return true;
  }

  /// The most that the candidates from `place` on can add: the first `least` of the gains in any case, then the
  /// positive ones.
  double rest_bound(size_t place, int64_t least, int64_t room) {
    const double* half = half_.data() + static_cast<size_t>(room - 1) * n_;
    size_t length = 0;
    for (size_t p = place; p < order_.size(); ++p) {
      const auto i = static_cast<size_t>(order_[p]);
      if (blocked_[i] == 0) scratch_[length++] = gain_[i] + half[i];
    }
    if (static_cast<int64_t>(length) < least) return -kInfinity;
    const size_t taken = std::min(static_cast<size_t>(room), length);
    const auto begin = scratch_.begin();
    std::partial_sort(begin, begin + static_cast<std::ptrdiff_t>(taken), begin + static_cast<std::ptrdiff_t>(length),
                      std::greater<>());
    double sum = 0.0;
    for (size_t k = 0; k < taken; ++k) {
      if (static_cast<int64_t>(k) >= least && scratch_[k] <= 0.0) break;
      sum += scratch_[k];
    }
    return sum;
  }

  void offer() {
    if (static_cast<int64_t>(items_.size()) < problem_.min_size ||
        static_cast<int64_t>(items_.size()) > problem_.max_size) {
      return;
    }
    if (found_ && value() + margin_ <= best_) return;
    std::vector<int32_t> items(items_);
    std::ranges::sort(items);
    if (violation_of(problem_, limits_, items) > 0.0) return;
    const double exact = value_of(problem_, items);
    if (found_ && exact <= best_) return;
    found_ = true;
    best_ = exact;
    best_items_ = std::move(items);
  }

  bool stopped() {
    late_ = late_ || (params_.node_limit > 0 && nodes_ >= params_.node_limit);
    if (++nodes_ % kNodesBetweenClocks == 0) {
      if (!params_.keep_on_interrupt) check_interrupt("the exact search");
      interrupted_ = interrupt_requested();
      late_ = late_ || interrupted_ || (params_.time_limit > 0.0 && seconds() > params_.time_limit);
    }
    return late_ || (params_.any_feasible && found_);
  }

  void descend(size_t from) {
    const auto size = static_cast<int64_t>(items_.size());
    if (can_be_met(order_.size(), 0, 0)) offer();
    for (size_t place = from; place < order_.size(); ++place) {
      if (stopped()) return;
      const int64_t room = std::min(problem_.max_size - size, static_cast<int64_t>(order_.size() - place));
      const int64_t least = std::max<int64_t>(1, problem_.min_size - size);
      if (room <= 0 || !can_be_met(place, least, room)) return;
      if (found_ && value() + rest_bound(place, least, room) + margin_ <= best_) return;
      const int32_t id = order_[place];
      const auto i = static_cast<size_t>(id);
      if (blocked_[i] > 0) continue;
      if (category_[i] >= 0) {
        const auto c = static_cast<size_t>(category_[i]);
        if (count_[c] >= category_max_[c]) continue;
      }
      if (room == 1 && found_ && value() + gain_[i] + margin_ <= best_) continue;
      add(id);
      descend(place + 1);
      remove(id);
    }
  }

  const BundleProblem& problem_;
  const ExactParams& params_;
  size_t n_;
  std::vector<LimitSum> limits_;
  std::chrono::steady_clock::time_point start_;
  std::vector<int32_t> order_;                   // candidates that are neither fixed nor out
  std::vector<std::vector<int32_t>> conflicts_;  // [n]
  std::vector<int32_t> blocked_;                 // [n] how many chosen ones exclude it
  std::vector<int32_t> category_;                // [n] place, -1: there are no categories
  std::vector<int64_t> category_min_, category_max_, count_;
  std::vector<int64_t> left_;  // [categories, places] candidates from a place on
  std::vector<Rest> rest_;     // [limits, places]
  std::vector<double> half_;   // [room + 1, n]
  std::vector<double> gain_, load_, value_, scratch_;
  std::vector<std::vector<double>> saved_gain_, saved_load_;
  std::vector<int32_t> items_, best_items_;
  int64_t lacking_ = 0, distinct_ = 0, nodes_ = 0;
  double best_ = 0.0, margin_ = 0.0;
  bool found_ = false, late_ = false, interrupted_ = false;
};

}  // namespace

BundleAnswer solve_exact(const BundleProblem& problem, const ExactParams& params) {
  problem.validate();
  return Branches(problem, params).run();
}

}  // namespace sheaf
