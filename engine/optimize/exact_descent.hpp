#pragma once
/// Improvement of a set by adds, drops and swaps, judged by value_of() and violation_of(): what a search in float32
/// leaves undone where float32 cannot hold a problem's numbers.

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "engine/optimize/limit_sum.hpp"
#include "engine/optimize/problem.hpp"

namespace sheaf {

struct JudgedSet {
  std::vector<int32_t> items;  // ascending
  double value = 0.0;
  double violation = std::numeric_limits<double>::infinity();

  /// Less violation, or none in both and more value.
  bool is_better_than(const JudgedSet& other) const {
    return violation > 0.0 || other.violation > 0.0 ? violation < other.violation : value > other.value;
  }
};

/// `limits` are limit_sums(problem).
JudgedSet judge(const BundleProblem& problem, const std::vector<LimitSum>& limits, const std::vector<int32_t>& items);

/// The best moves, one after another, until none of them makes the set better or `stop` says so. The counted rules
/// (sizes, categories, pairs) are only kept: a set that breaks them is returned as it is.
JudgedSet descend(const BundleProblem& problem, const std::vector<LimitSum>& limits, JudgedSet set,
                  const std::function<bool()>& stop);

}  // namespace sheaf
