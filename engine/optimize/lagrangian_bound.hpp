#pragma once
/// An upper bound of what any feasible set can be worth.

#include <cstdint>

#include "engine/optimize/problem.hpp"

namespace sheaf {

struct BoundParams {
  int64_t steps = 300;      // of the subgradient method
  double time_limit = 0.5;  // seconds; 0: none
  double value = 0.0;       // of a set already found: sets the lengths of the steps, and ends them once met
  bool has_value = false;
};

struct UpperBound {
  double bound = 0.0;  // -infinity: even the relaxation has no set
  int64_t steps = 0;
  double seconds = 0.0;
};

/// Lagrangian decomposition (Caprara, Pisinger, Toth, 1999; Billionnet, Faye, Soutif, 1999). Each pair term is split in two parts, one
/// for each of its candidates. Candidate j is then worth at most linear[j] plus the best of its parts over what fits beside it (the inner
/// problem), and a set the best of those (the outer problem). Subgradient steps over the split lower the bound; it is valid for any split.
/// Both problems are relaxed to the least of: for each limit the continuous knapsack; the largest terms under the maximum size and the
/// categories' maxima. Must-haves are fixed, forbidden candidates left out, and what excludes j left out beside j. Minima of size and of
/// categories are not used. Whole-numbered values (problem.integral) round the bound down.
/// The same bits for any number of threads, while no time limit ends it.
UpperBound upper_bound(Context& context, const BundleProblem& problem, const BoundParams& params);

/// (bound - value) / |value|; 0 where they agree, infinity where the value is 0 or there is no bound.
double gap_of(double bound, double value);

}  // namespace sheaf
