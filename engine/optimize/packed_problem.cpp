#include "engine/optimize/packed_problem.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "engine/optimize/limit_sum.hpp"

namespace sheaf {
namespace {

constexpr int64_t kMostExact = int64_t{1} << 24;  // float32 holds all whole numbers up to it

/// sum of weight <= upper, in whole numbers that sums of float32 terms in double precision keep exactly.
struct UpperLimit {
  std::vector<float> weight;  // [n]
  double upper = 0.0;
  bool exact = true;  // the same sets as the problem's limit, else only some of them
};

/// An exact limit over its weights' greatest common divisor. The sum is `sign` times the weights'.
std::optional<UpperLimit> whole_limit(const LimitSum& sum, int64_t sign) {
  const std::vector<int64_t>& whole = sum.whole_weights();
  if (whole.empty()) return std::nullopt;
  int64_t divisor = 0;
  for (const int64_t w : whole) divisor = std::gcd(divisor, w);
  divisor = std::max<int64_t>(divisor, 1);
  UpperLimit limit;
  for (const int64_t w : whole) {
    if (std::abs(w / divisor) > kMostExact) return std::nullopt;
    limit.weight.push_back(static_cast<float>(sign * (w / divisor)));
  }
  const int64_t upper = sign > 0 ? sum.whole_upper() : -sum.whole_lower();
  limit.upper = static_cast<double>(upper / divisor - (upper % divisor < 0 ? 1 : 0));
  return limit;
}

/// Weights and bound in the 24 bits of the heaviest weight.
UpperLimit rounded_limit(const std::vector<double>& weights, double sign, double upper, LimitRounding rounding) {
  const bool tight = rounding == LimitRounding::tightened;
  const auto rounded = [](double x, bool up) { return up ? std::ceil(x) : std::floor(x); };
  UpperLimit limit;
  limit.exact = false;
  double most = 0.0;
  for (const double w : weights) most = std::max(most, std::abs(w));
  const double scale = std::exp2(std::min(24.0 - std::ceil(std::log2(most)), 1000.0));
  for (const double w : weights) limit.weight.push_back(static_cast<float>(rounded(sign * w * scale, tight)));
  limit.upper = rounded(sign * upper * scale, !tight);
  return limit;
}

std::vector<UpperLimit> upper_limits(const BundleProblem& problem, LimitRounding rounding) {
  std::vector<UpperLimit> limits;
  for (const WeightLimit& limit : problem.limits) {
    const LimitSum sum(limit);
    const auto add = [&](int64_t sign, double bound) {
      if (!std::isfinite(bound)) return;
      const std::optional<UpperLimit> whole = whole_limit(sum, sign);
      limits.push_back(whole ? *whole : rounded_limit(limit.weights, static_cast<double>(sign), bound, rounding));
    };
    add(1, limit.upper);
    add(-1, limit.lower);
  }
  return limits;
}

bool are_floats(const std::vector<double>& values) {
  return std::ranges::all_of(values, [](double x) { return x == static_cast<double>(static_cast<float>(x)); });
}

std::vector<float> to_floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

}  // namespace

PackedProblem::PackedProblem(Context& context, const BundleProblem& problem, LimitRounding rounding)
    : n_(problem.n),
      is_exact_(are_floats(problem.linear) && are_floats(problem.pair)),
      linear_(context, to_floats(problem.linear)),
      pair_(context, to_floats(problem.pair)) {
  view_.n_problems = 1;
  view_.n_candidates = static_cast<int32_t>(n_);
  view_.min_size = static_cast<int32_t>(std::min(problem.min_size, n_ + 1));
  view_.max_size = static_cast<int32_t>(std::min(std::max(problem.max_size, problem.min_size), n_ + 1));
  view_.linear = linear_.data();
  view_.pair = pair_.data();
  set_limits(context, problem, rounding);
  set_flags(context, problem);
  set_categories(context, problem);
  set_conflicts(context, problem);
}

void PackedProblem::set_limits(Context& context, const BundleProblem& problem, LimitRounding rounding) {
  const std::vector<UpperLimit> limits = upper_limits(problem, rounding);
  if (limits.empty()) return;
  std::vector<float> weight;
  std::vector<double> upper;
  for (const UpperLimit& limit : limits) {
    weight.insert(weight.end(), limit.weight.begin(), limit.weight.end());
    upper.push_back(limit.upper);
    is_exact_ = is_exact_ && limit.exact;
  }
  weight_ = Buffer<float>(context, weight);
  upper_ = Buffer<double>(context, upper);
  view_.n_limits = static_cast<int32_t>(limits.size());
  view_.weight = weight_.data();
  view_.upper = upper_.data();
}

void PackedProblem::set_flags(Context& context, const BundleProblem& problem) {
  std::vector<uint8_t> flags(static_cast<size_t>(n_), 0);
  for (const int32_t id : problem.must_have) flags[static_cast<size_t>(id)] |= genetic::kMustHave;
  for (const int32_t id : problem.forbidden) flags[static_cast<size_t>(id)] |= genetic::kForbidden;
  flags_ = Buffer<uint8_t>(context, flags);
  view_.flags = flags_.data();
}

void PackedProblem::set_categories(Context& context, const BundleProblem& problem) {
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

void PackedProblem::set_conflicts(Context& context, const BundleProblem& problem) {
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

}  // namespace sheaf
