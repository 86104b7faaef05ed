#pragma once
/// When a set keeps a limit: the one definition. The checker, the search, branch and bound, the upper bound, the front
/// and the diagnosis of infeasible problems all use it.
///
/// A limit is exact if each weight is a whole number or a decimal of at most 15 digits (0.1, 2.99, 4e-10; read as its
/// shortest decimal), and the sizes of all weights, counted in the smallest decimal place among them, add up to less
/// than 2^62. Then the sums are whole numbers of 64 bits: 2.99 + 7.01 fit 10, and 1000000000 + 1 do not fit 1000000000.
/// A bound of more than 15 digits (0.3 - 0.2) holds a sum that is above it by 1e-12 of it at most.
/// Other limits (weights that a program computed, such as 1/3; sums beyond 2^62) are added in double precision, in the
/// order of the items. A bound may be exceeded by 1e-12 of what the sizes of the set's weights and of the bound add up
/// to: rounding hides less. No rule depends on the unit of the weights.

#include <cstdint>
#include <vector>

#include "engine/optimize/problem.hpp"

namespace sheaf {

class LimitSum {
 public:
  explicit LimitSum(const WeightLimit& limit);

  /// The sum of the weights of `items`; an exact limit's is rounded once.
  double of(const std::vector<int32_t>& items) const;
  /// 0 where `items` keep the limit; else what they are over or under it, divided by max(|bound|, 1).
  double violation(const std::vector<int32_t>& items) const;
  /// The bounds for a sum of weights in double precision, in any order: a sum beyond them breaks the limit for certain.
  double lower_for_certain() const { return limit_.lower - slack(limit_.lower); }
  double upper_for_certain() const { return limit_.upper + slack(limit_.upper); }

  /// An exact limit in whole numbers: weights [n], and the largest (the least) sum that keeps it, +-2^62 at most. The
  /// weights of a limit that is not exact are empty.
  const std::vector<int64_t>& whole_weights() const { return whole_; }
  int64_t whole_upper() const { return upper_.whole; }
  int64_t whole_lower() const { return lower_.whole; }

 private:
  /// A bound in units of the weights: whole + rest, 0 <= rest <= 1 for an upper one, -1 <= rest <= 0 for a lower one.
  struct Bound {
    int64_t whole = 0;
    double rest = 0.0;
  };
  Bound upper_bound(double bound) const;
  double in_unit(double whole) const;
  double slack(double bound) const;
  int64_t whole_sum(const std::vector<int32_t>& items) const;

  WeightLimit limit_;
  std::vector<int64_t> whole_;  // [n], or empty: not exact
  int32_t exponent_ = 0;        // the unit is 10^exponent_
  Bound lower_, upper_;
  double size_ = 0.0;  // of all weights
};

/// One a limit of the problem.
std::vector<LimitSum> limit_sums(const BundleProblem& problem);

}  // namespace sheaf
