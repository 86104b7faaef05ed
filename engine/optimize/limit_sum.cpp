#include "engine/optimize/limit_sum.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace sheaf {
namespace {

constexpr double kTolerance = 1e-12;  // of the sizes: 256 additions lose 3e-14
constexpr double kMaxSnap = 1e-6;     // of the unit: what a bound of more than 15 digits may lack to a whole number
constexpr int64_t kMost = int64_t{1} << 62;
constexpr int32_t kMaxDigits = 15;  // each decimal of so many digits is a double of its own

/// digits * 10^exponent
struct Decimal {
  int64_t digits = 0;
  int32_t exponent = 0;
};

/// Nothing for a number with more digits that is not whole: nobody wrote it.
std::optional<Decimal> decimal_of(double x) {
  if (x == std::floor(x) && std::abs(x) < static_cast<double>(kMost)) return Decimal{static_cast<int64_t>(x), 0};
  char text[32];
  const char* end = std::to_chars(text, text + sizeof text, std::abs(x), std::chars_format::scientific).ptr;
  const char* power = std::find<const char*>(text, end, 'e');
  Decimal decimal;
  int32_t count = 0;
  for (const char* at = text; at != power; ++at) {
    if (*at == '.') continue;
    decimal.digits = 10 * decimal.digits + (*at - '0');
    ++count;
  }
  if (count > kMaxDigits) return std::nullopt;
  std::from_chars(power[1] == '+' ? power + 2 : power + 1, end, decimal.exponent);
  decimal.exponent -= count - 1;
  if (x < 0.0) decimal.digits = -decimal.digits;
  return decimal;
}

/// digits * 10^power, or nothing from 2^62 on.
std::optional<int64_t> times_power(int64_t digits, int32_t power) {
  for (; power > 0 && digits != 0; --power) {
    if (__builtin_mul_overflow(digits, 10, &digits)) return std::nullopt;
  }
  return std::abs(digits) < kMost ? std::optional(digits) : std::nullopt;
}

/// All weights in one unit of 10^exponent, or none.
std::vector<int64_t> whole_weights_of(const std::vector<double>& weights, int32_t& exponent) {
  std::vector<Decimal> decimals;
  exponent = std::numeric_limits<int32_t>::max();
  for (const double weight : weights) {
    const std::optional<Decimal> decimal = decimal_of(weight);
    if (!decimal) return {};
    decimals.push_back(*decimal);
    if (decimal->digits != 0) exponent = std::min(exponent, decimal->exponent);
  }
  std::vector<int64_t> whole;
  int64_t size = 0;
  for (const Decimal& decimal : decimals) {
    const std::optional<int64_t> one = times_power(decimal.digits, decimal.exponent - exponent);
    if (!one || (size += std::abs(*one)) >= kMost) return {};
    whole.push_back(*one);
  }
  if (size == 0) exponent = 0;
  return whole;
}

}  // namespace

LimitSum::LimitSum(const WeightLimit& limit) : limit_(limit) {
  for (const double weight : limit.weights) size_ += std::abs(weight);
  whole_ = whole_weights_of(limit.weights, exponent_);
  if (whole_.empty()) return;
  upper_ = upper_bound(limit.upper);
  lower_ = upper_bound(-limit.lower);
  lower_ = {-lower_.whole, -lower_.rest};
}

LimitSum::Bound LimitSum::upper_bound(double bound) const {
  if (!std::isfinite(bound)) return {kMost, 0.0};
  const Bound beyond{bound > 0.0 ? kMost : -kMost, 0.0};
  const std::optional<Decimal> decimal = decimal_of(bound);
  if (!decimal) {  // computed: 0.3 - 0.2 is meant to hold 0.1
    const double units = exponent_ < 0 ? bound * std::pow(10.0, -exponent_) : bound / std::pow(10.0, exponent_);
    const double whole = std::floor(units + std::min(kTolerance * std::abs(units), kMaxSnap));
    if (!(std::abs(whole) < static_cast<double>(kMost))) return beyond;
    return {static_cast<int64_t>(whole), std::max(0.0, units - whole)};
  }
  const int32_t power = decimal->exponent - exponent_;
  if (power >= 0) {
    const std::optional<int64_t> whole = times_power(decimal->digits, power);
    return whole ? Bound{*whole, 0.0} : beyond;
  }
  int64_t unit = 1;
  for (int32_t k = power; k < 0; ++k) {
    if (unit > kMost / 10) return {decimal->digits < 0 ? -1 : 0, decimal->digits < 0 ? 1.0 : 0.0};
    unit *= 10;
  }
  const int64_t remainder = (decimal->digits % unit + unit) % unit;
  return {(decimal->digits - remainder) / unit, static_cast<double>(remainder) / static_cast<double>(unit)};
}

double LimitSum::in_unit(double whole) const {
  return exponent_ < 0 ? whole / std::pow(10.0, -exponent_) : whole * std::pow(10.0, exponent_);
}

double LimitSum::slack(double bound) const {
  return std::isfinite(bound) ? 2.0 * kTolerance * (size_ + std::abs(bound)) : 0.0;
}

int64_t LimitSum::whole_sum(const std::vector<int32_t>& items) const {
  int64_t sum = 0;
  for (const int32_t id : items) sum += whole_[static_cast<size_t>(id)];
  return sum;
}

double LimitSum::of(const std::vector<int32_t>& items) const {
  if (!whole_.empty()) return in_unit(static_cast<double>(whole_sum(items)));
  double sum = 0.0;
  for (const int32_t id : items) sum += limit_.weights[static_cast<size_t>(id)];
  return sum;
}

double LimitSum::violation(const std::vector<int32_t>& items) const {
  // Never 0 for what is broken, however small the unit.
  const auto share = [](double over, double bound) {
    return std::max(over / std::max(std::abs(bound), 1.0), std::numeric_limits<double>::min());
  };
  double broken = 0.0;
  if (!whole_.empty()) {
    const int64_t sum = whole_sum(items);
    const auto distance = [&](const Bound& bound) {
      return std::abs(in_unit(static_cast<double>(sum - bound.whole) - bound.rest));
    };
    if (sum > upper_.whole) broken += share(distance(upper_), limit_.upper);
    if (sum < lower_.whole) broken += share(distance(lower_), limit_.lower);
    return broken;
  }
  double size = 0.0;
  for (const int32_t id : items) size += std::abs(limit_.weights[static_cast<size_t>(id)]);
  const double sum = of(items);
  const auto tolerance = [&](double bound) { return kTolerance * (size + std::abs(bound)); };
  if (std::isfinite(limit_.upper) && sum - limit_.upper > tolerance(limit_.upper)) {
    broken += share(sum - limit_.upper, limit_.upper);
  }
  if (std::isfinite(limit_.lower) && limit_.lower - sum > tolerance(limit_.lower)) {
    broken += share(limit_.lower - sum, limit_.lower);
  }
  return broken;
}

std::vector<LimitSum> limit_sums(const BundleProblem& problem) {
  return {problem.limits.begin(), problem.limits.end()};
}

}  // namespace sheaf
