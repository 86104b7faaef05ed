#pragma once
/// One bundle problem of several objectives as data, and its front: the sets that no other set beats in all objectives
/// at once.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/optimize/problem.hpp"

namespace sheaf {

inline constexpr int64_t kMaxFrontObjectives = 4;
inline constexpr int64_t kMaxFrontItems = 64;  // of a set

///   value(S) = sum over i in S of linear[i] + sum over i < j in S of pair[i, j]
///            + category_value * (different categories in S)
/// Revenue is linear; items that sell each other are pair terms; diversity is a category value; stock to clear is
/// linear.
struct Objective {
  std::string name{};
  std::vector<double> linear{};  // [n], or empty: none
  std::vector<double> pair{};    // [n, n] symmetric, or empty: none
  double category_value = 0.0;
  bool maximize = true;
  double reference = 0.0;  // of the hypervolume: a value that is just not worth having
};

struct ParetoProblem {
  BundleProblem rules;  // the constraints; its own linear and pair may be empty and are not read
  std::vector<Objective> objectives;

  /// UsageError as BundleProblem::validate(); for no objective or more than four, and for max_size over 64 with more
  /// candidates.
  void validate() const;
};

struct FrontParams {
  int64_t population = 128;   // 4 .. 256; longer fronts are thinned where they are crowded
  int64_t generations = 200;  // 0 .. 100000
  uint64_t seed = 0;
  int64_t problem_id = 0;  // keys the random draws, with the seed
};

struct FrontSet {
  std::vector<int32_t> items;  // ascending
  std::vector<double> values;  // one for each objective, in double precision, summed from zero
};

struct Front {
  std::vector<FrontSet> sets;  // none dominates another; the best in the first objective first
  bool feasible = false;       // else `sets` is empty
  double hypervolume = 0.0;    // above the objectives' references; the product of the objectives' units
  double violation = 0.0;      // the least that was found; 0 when feasible
  int64_t evaluations = 0;
  double seconds = 0.0;
};

double value_of(const BundleProblem& rules, const Objective& objective, const std::vector<int32_t>& items);

/// NSGA-II (kernels/genetic/pareto.hpp). Returns the front that was found; there is no proof that it is complete.
Front find_front(Context& context, const ParetoProblem& problem, const FrontParams& params);

}  // namespace sheaf
