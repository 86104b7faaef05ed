#pragma once
/// One bundle problem as data, and its answer. Built by the engine from the models or read from a file.
///
/// Choose a set S of the n candidates to maximise
///   value(S) = sum over i in S of linear[i]  +  sum over i < j in S of pair[i, j]
/// under every constraint below. (A quadratic knapsack: Gallo, Hammer, Simeone, 1980; with R limits and side
/// constraints.)
///
/// Violation of S, 0 when feasible: surplus or missing members, missing must-haves, forbidden members, items over or
/// under the range of each category, missing categories, forbidden pairs inside S; for each exclusive group its members
/// beyond the first, one each; and for each limit the excess or shortfall divided by max(|bound|, 1). Limits of whole
/// numbers and decimals are exact; the definition for all limits is in limit_sum.hpp.
/// Values are added in double precision: whole numbers are exact while their sums are below 2^53.

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/context.hpp"

namespace sheaf {

inline constexpr int64_t kMaxCandidates = 256;
inline constexpr int64_t kMaxLimits = 8;
/// No term or weight of a problem is beyond it: the search adds up to 33,000 terms in float32, which ends at 3e38.
inline constexpr double kMaxNumber = 1e30;

class LimitSum;

/// lower <= sum of weights over S <= upper. Weights may be negative.
struct WeightLimit {
  std::string name{};             // for messages; may be empty
  std::vector<double> weights{};  // [n]
  double lower = -std::numeric_limits<double>::infinity();
  double upper = std::numeric_limits<double>::infinity();
};

/// The number of items of one category that S holds. A category that no candidate has is allowed: its minimum is then
/// out of reach.
struct CategoryRange {
  int32_t category = 0;
  int32_t min_items = 0;
  int32_t max_items = static_cast<int32_t>(kMaxCandidates);
};

struct BundleProblem {
  int64_t n = 0;                    // candidates, 1 .. kMaxCandidates
  std::vector<std::string> names;   // [n], or empty
  std::vector<double> linear;       // [n]
  std::vector<double> pair;         // [n, n] row-major, symmetric; the diagonal is ignored
  std::vector<WeightLimit> limits;  // at most kMaxLimits
  int64_t min_size = 0;
  int64_t max_size = kMaxCandidates;  // may exceed n
  std::vector<int32_t> category;      // [n] any whole numbers >= 0, or empty: no categories
  std::vector<CategoryRange> category_ranges;
  int64_t min_categories = 0;                                // at least this number of different categories
  std::vector<int32_t> must_have, forbidden;                 // candidates
  std::vector<std::pair<int32_t, int32_t>> forbidden_pairs;  // not both
  std::vector<std::vector<int32_t>> exclusive_groups;        // at most one of each
  bool integral = false;  // all linear and pair terms are whole numbers, so values are exact; see is_integral()

  /// UsageError, naming the field and the place, for wrong lengths, ids out of range, NaN, terms and weights beyond
  /// kMaxNumber, an asymmetric pair matrix, empty ranges of sizes or of a category, repeated category ranges. A problem
  /// may be valid and have no feasible set.
  void validate() const;
};

/// Are all linear and pair terms whole numbers, with sums below 2^52 (exact in double precision, halves of them too)?
bool is_integral(const BundleProblem& problem);

/// In double precision, summed from zero; `items` without repetition, in any order.
double value_of(const BundleProblem& problem, const std::vector<int32_t>& items);
double violation_of(const BundleProblem& problem, const std::vector<int32_t>& items);
/// The same with limit_sums(problem) at hand, for many sets.
double violation_of(const BundleProblem& problem, const std::vector<LimitSum>& limits,
                    const std::vector<int32_t>& items);

enum class SearchMethod { portfolio, genetic, anneal, greedy, relaxed, exact };

/// "portfolio" and so on. UsageError, listing the names, for an unknown one.
SearchMethod search_method(const std::string& name);
const char* name_of(SearchMethod method);

struct SolveParams {
  SearchMethod method = SearchMethod::portfolio;
  uint64_t seed = 0;
  int64_t problem_id = 0;  // keys the random draws, with the seed
  /// Seconds; 0: `rounds` alone ends the search, and the answer is the same on every run and backend
  double time_limit = 0.0;
  int64_t rounds = 16;          // most rounds of the search; with a time limit, 0 for as many as fit
  int64_t local_searches = 16;  // sets that are improved side by side in a round, 4 .. 32
  int64_t iterations = 0;       // moves of a local search in a round; 0: by the number of candidates
  int64_t islands = 1;        // populations of `local_searches` that exchange sets; on a GPU each has its own processor
  int64_t migrate_every = 2;  // rounds between exchanges; 0: never
  std::vector<int32_t> start{};  // a set to begin with (warm start), or empty
  /// Stop at a feasible value that reaches it, for example an upper bound.
  double target = std::numeric_limits<double>::infinity();
  bool keep_on_interrupt = false;  // an interrupt after the first rounds ends the search as a time limit does
};

struct BundleAnswer {
  std::vector<int32_t> items;  // ascending
  double value = 0.0;          // value_of(items)
  double violation = 0.0;      // violation_of(items)
  bool feasible = false;       // violation == 0
  int64_t evaluations = 0;     // sets whose value was computed, by moves or whole
  SearchMethod method = SearchMethod::portfolio;
  double seconds = 0.0;
  double upper_bound = std::numeric_limits<double>::infinity();  // of any feasible set; infinity: not computed
  bool proven = false;       // the answer is optimal, or (infeasible) nothing is feasible
  bool interrupted = false;  // an interrupt ended it
};

/// The best set found, judged by value_of() and violation_of(): the search in float32 only proposes sets. Where float32
/// cannot hold a term or a weight, exchanges in exact arithmetic improve them. If nothing feasible was found, it is the
/// set with the least violation. Validates the problem.
/// SearchMethod::exact is enumeration by branch and bound, for small problems only.
BundleAnswer solve(Context& context, const BundleProblem& problem, const SolveParams& params);

}  // namespace sheaf
