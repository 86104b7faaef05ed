#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "engine/search/problem.hpp"
#include "kernels/core/buffer.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/genetic/search.hpp"
#include "kernels/genetic/search_pool.hpp"

namespace sheaf {
namespace {

constexpr double kExact = 0x1.0p24;          // float32 holds whole numbers below it
constexpr double kSameNumber = 1e-9;         // relative; decimals of the input
constexpr double kMostDecimals = 1000000.0;  // weights with at most six decimals become whole numbers

/// sum of weight <= upper in numbers that sums of float32 terms in double precision keep exactly.
struct UpperLimit {
  std::vector<float> weight;  // [n]
  double upper = 0.0;
};

/// The power of ten that makes all weights whole and exact in float32, or 0.
double whole_scale(const std::vector<double>& weights) {
  for (double scale = 1.0; scale <= kMostDecimals; scale *= 10.0) {
    const bool whole = std::ranges::all_of(weights, [&](double w) {
      const double scaled = w * scale;
      return std::abs(scaled) < kExact &&
             std::abs(scaled - std::round(scaled)) <= kSameNumber * std::max(1.0, std::abs(scaled));
    });
    if (whole) return scale;
  }
  return 0.0;
}

/// Whole numbers where decimals allow it; else rounded up to 22 bits, so that what fits here fits in double precision.
UpperLimit upper_limit(const std::vector<double>& weights, double upper) {
  UpperLimit limit;
  double scale = whole_scale(weights);
  const bool whole = scale > 0.0;
  if (!whole) {
    double most = 0.0;
    for (const double w : weights) most = std::max(most, std::abs(w));
    scale = std::exp2(22.0 - std::ceil(std::log2(most)));
  }
  for (const double w : weights) {
    limit.weight.push_back(static_cast<float>(whole ? std::round(w * scale) : std::ceil(w * scale - kSameNumber)));
  }
  limit.upper = std::floor(upper * scale + kSameNumber * std::max(1.0, std::abs(upper) * scale));
  return limit;
}

std::vector<UpperLimit> upper_limits(const BundleProblem& problem) {
  std::vector<UpperLimit> limits;
  for (const WeightLimit& limit : problem.limits) {
    if (std::isfinite(limit.upper)) limits.push_back(upper_limit(limit.weights, limit.upper));
    if (!std::isfinite(limit.lower)) continue;
    std::vector<double> negative(limit.weights);
    for (double& w : negative) w = -w;
    limits.push_back(upper_limit(negative, -limit.lower));
  }
  return limits;
}

/// A problem in the context's memory.
class DeviceProblem {
 public:
  DeviceProblem(Context& context, const BundleProblem& problem)
      : n_(problem.n), linear_(context, to_floats(problem.linear)), pair_(context, to_floats(problem.pair)) {
    view_.n_problems = 1;
    view_.n_candidates = static_cast<int32_t>(n_);
    view_.min_size = static_cast<int32_t>(std::min(problem.min_size, n_ + 1));
    view_.max_size = static_cast<int32_t>(std::min(std::max(problem.max_size, problem.min_size), n_ + 1));
    view_.linear = linear_.data();
    view_.pair = pair_.data();
    set_limits(context, problem);
    set_flags(context, problem);
    set_categories(context, problem);
    set_conflicts(context, problem);
  }

  const genetic::SearchProblems& view() const { return view_; }

 private:
  static std::vector<float> to_floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

  void set_limits(Context& context, const BundleProblem& problem) {
    const std::vector<UpperLimit> limits = upper_limits(problem);
    if (limits.empty()) return;
    std::vector<float> weight;
    std::vector<double> upper;
    for (const UpperLimit& limit : limits) {
      weight.insert(weight.end(), limit.weight.begin(), limit.weight.end());
      upper.push_back(limit.upper);
    }
    weight_ = Buffer<float>(context, weight);
    upper_ = Buffer<double>(context, upper);
    view_.n_limits = static_cast<int32_t>(limits.size());
    view_.weight = weight_.data();
    view_.upper = upper_.data();
  }

  void set_flags(Context& context, const BundleProblem& problem) {
    std::vector<uint8_t> flags(static_cast<size_t>(n_), 0);
    for (const int32_t id : problem.must_have) flags[static_cast<size_t>(id)] |= genetic::kMustHave;
    for (const int32_t id : problem.forbidden) flags[static_cast<size_t>(id)] |= genetic::kForbidden;
    flags_ = Buffer<uint8_t>(context, flags);
    view_.flags = flags_.data();
  }

  void set_categories(Context& context, const BundleProblem& problem) {
    if (problem.category.empty()) return;
    view_.min_categories = static_cast<int32_t>(std::min(problem.min_categories, n_ + 1));
    category_ = Buffer<int32_t>(context, problem.category);
    view_.category = category_.data();
    if (problem.category_ranges.empty()) return;
    std::map<int32_t, const CategoryRange*> ranges;
    for (const CategoryRange& range : problem.category_ranges) ranges[range.category] = &range;
    std::vector<int32_t> least, most;
    for (const int32_t category : problem.category) {
      const auto found = ranges.find(category);
      least.push_back(found == ranges.end() ? 0 : found->second->min_items);
      most.push_back(found == ranges.end() ? genetic::kMaxCandidates : found->second->max_items);
    }
    category_min_ = Buffer<int32_t>(context, least);
    category_max_ = Buffer<int32_t>(context, most);
    view_.category_min = category_min_.data();
    view_.category_max = category_max_.data();
  }

  void set_conflicts(Context& context, const BundleProblem& problem) {
    std::vector<uint32_t> bits(static_cast<size_t>(n_ * genetic::kMaskWords), 0);
    bool any = false;
    const auto forbid = [&](int32_t a, int32_t b) {
      any = true;
      bits[static_cast<size_t>(a * genetic::kMaskWords + b / 32)] |= 1u << (b % 32);
      bits[static_cast<size_t>(b * genetic::kMaskWords + a / 32)] |= 1u << (a % 32);
    };
    for (const auto& [a, b] : problem.forbidden_pairs) forbid(a, b);
    for (const std::vector<int32_t>& group : problem.exclusive_groups) {
      for (size_t i = 0; i < group.size(); ++i) {
        for (size_t j = 0; j < i; ++j) forbid(group[i], group[j]);
      }
    }
    if (!any) return;
    conflict_ = Buffer<uint32_t>(context, bits);
    view_.conflict = conflict_.data();
  }

  int64_t n_;
  genetic::SearchProblems view_;
  Buffer<float> linear_, pair_, weight_;
  Buffer<double> upper_;
  Buffer<uint8_t> flags_;
  Buffer<int32_t> category_, category_min_, category_max_;
  Buffer<uint32_t> conflict_;
};

std::vector<int32_t> items_of(const genetic::SearchSet& set) {
  std::vector<int32_t> items;
  for (int32_t id = 0; id < genetic::kMaxCandidates; ++id) {
    if ((set.mask[id / 32] >> (id % 32) & 1u) != 0) items.push_back(id);
  }
  return items;
}

genetic::SearchSet set_of(const BundleProblem& problem, const std::vector<int32_t>& items) {
  genetic::SearchSet set{};
  for (const int32_t id : items) set.mask[id / 32] |= 1u << (id % 32);
  set.value = static_cast<float>(value_of(problem, items));
  set.violation = static_cast<float>(violation_of(problem, items));
  return set;
}

void check_params(const BundleProblem& problem, const SolveParams& params) {
  const auto refuse = [](const std::string& what, const std::string& mend) {
    throw UsageError("bundle search: " + what, mend);
  };
  if (params.method == SearchMethod::exact) refuse("solve() does not enumerate", "call the exact search");
  if (params.chains < 4 || params.chains > genetic::kMostChains) refuse("chains must be 4 .. 32", "16 serve most");
  if (params.rounds < 0 || params.iterations < 0)
    refuse("rounds and iterations must not be negative", "0: as they fit");
  if (params.rounds == 0 && !(params.time_limit > 0.0)) refuse("neither rounds nor a time limit", "give one");
  for (const int32_t id : params.start) {
    if (id < 0 || id >= problem.n) refuse("start names candidate " + std::to_string(id), "candidates count from 0");
  }
}

genetic::Recipe recipe_of(SearchMethod method) {
  switch (method) {
    case SearchMethod::genetic: return genetic::Recipe::genetic;
    case SearchMethod::anneal: return genetic::Recipe::anneal;
    case SearchMethod::greedy: return genetic::Recipe::greedy;
    case SearchMethod::relaxed: return genetic::Recipe::relaxed;
    default: return genetic::Recipe::portfolio;
  }
}

/// Rounds of the search, a few at a time where something may end it early.
class Rounds {
 public:
  Rounds(Context& context, const BundleProblem& problem, const SolveParams& params)
      : context_(context),
        problem_(problem),
        device_(context, problem),
        ids_(context, std::vector<int64_t>{params.problem_id}),
        evaluations_(Buffer<int64_t>::zeros(context, 1)),
        pool_(context, params.chains) {
    search_.recipe = recipe_of(params.method);
    search_.chains = static_cast<int32_t>(params.chains);
    search_.iterations = static_cast<int32_t>(params.iterations > 0 ? params.iterations : 32 + problem.n);
    search_.seed = params.seed;
  }

  void run(int64_t rounds) {
    search_.rounds = static_cast<int32_t>(rounds);
    genetic::search(context_, {.problems = device_.view(),
                               .params = search_,
                               .problem_ids = ids_.view(),
                               .pool = pool_.matrix(1, pool_.size()),
                               .evaluations = evaluations_.view(),
                               .history = {}});
    search_.first_round += search_.rounds;
  }

  /// Puts a set in the place of the pool's last.
  void insert(const std::vector<int32_t>& items) {
    std::vector<genetic::SearchSet> sets = pool_.to_host();
    sets.back() = set_of(problem_, items);
    std::ranges::stable_sort(sets, [](const auto& a, const auto& b) { return genetic::compare_sets(a, b) > 0; });
    pool_.assign(sets);
  }

  genetic::SearchSet best() const { return pool_.to_host().front(); }
  int64_t evaluations() const { return evaluations_.to_host().front(); }
  int64_t done() const { return search_.first_round; }

 private:
  Context& context_;
  const BundleProblem& problem_;
  DeviceProblem device_;
  Buffer<int64_t> ids_, evaluations_;
  Buffer<genetic::SearchSet> pool_;
  genetic::SearchParams search_;
};

}  // namespace

BundleAnswer solve(Context& context, const BundleProblem& problem, const SolveParams& params) {
  problem.validate();
  check_params(problem, params);
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    context.synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  Rounds rounds(context, problem, params);
  const bool timed = params.time_limit > 0.0;
  const bool whole = !timed && params.start.empty() && !std::isfinite(params.target);
  int64_t left = params.rounds > 0 ? params.rounds : std::numeric_limits<int32_t>::max();
  double longest = 0.0, before = 0.0;
  while (left > 0) {
    check_interrupt("the bundle search");
    const int64_t step = whole ? left : 1;
    rounds.run(step);
    left -= step;
    if (rounds.done() == step && !params.start.empty()) rounds.insert(params.start);
    const double now = seconds();
    longest = std::max(longest, now - before);
    before = now;
    if (timed && now + longest > params.time_limit) break;
    if (std::isfinite(params.target)) {
      const genetic::SearchSet best = rounds.best();
      if (best.violation <= 0.0f && static_cast<double>(best.value) >= params.target) break;
    }
  }
  BundleAnswer answer;
  answer.items = items_of(rounds.best());
  answer.value = value_of(problem, answer.items);
  answer.violation = violation_of(problem, answer.items);
  answer.feasible = !(answer.violation > 0.0);
  answer.evaluations = rounds.evaluations();
  answer.method = params.method;
  answer.seconds = seconds();
  return answer;
}

}  // namespace sheaf
