#include "engine/optimize/packed_problem.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace sheaf {
namespace {

constexpr double kExact = 0x1.0p24;         // float32 holds whole numbers below it
constexpr double kSameNumber = 1e-9;        // relative; decimals of the input
constexpr double kMaxDecimals = 1000000.0;  // weights with at most six decimals become whole numbers

/// sum of weight <= upper in numbers that sums of float32 terms in double precision keep exactly.
struct UpperLimit {
  std::vector<float> weight;  // [n]
  double upper = 0.0;
};

/// The power of ten that makes all weights whole and exact in float32, or 0.
double whole_scale(const std::vector<double>& weights) {
  for (double scale = 1.0; scale <= kMaxDecimals; scale *= 10.0) {
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

std::vector<float> to_floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

}  // namespace

PackedProblem::PackedProblem(Context& context, const BundleProblem& problem)
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

void PackedProblem::set_limits(Context& context, const BundleProblem& problem) {
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
