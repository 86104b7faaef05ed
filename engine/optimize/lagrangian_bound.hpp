#pragma once
/// An upper bound of the value of any feasible set.

#include <cstdint>

#include "engine/optimize/problem.hpp"

namespace sheaf {

struct BoundParams {
  int64_t steps = 300;      // of the subgradient method
  double time_limit = 0.5;  // seconds; 0: none
  double value = 0.0;       // of a set already found: sets the step lengths; the steps end once the bound meets it
  bool has_value = false;
};

struct UpperBound {
  double bound = 0.0;  // -infinity: even the relaxation has no set
  int64_t steps = 0;
  double seconds = 0.0;
};

/// Lagrangian decomposition (Caprara, Pisinger, Toth, 1999; Billionnet, Faye, Soutif, 1999). Each pair term is split in
/// two parts, one for each of its candidates. Candidate j is then worth at most linear[j] plus the best of its parts
/// over the candidates that fit beside it (the inner problem). A set is worth at most the best of those
/// (the outer problem). Subgradient steps over the split lower the bound; it is valid for any split. Both problems are
/// relaxed to the least of: for each limit the continuous knapsack; the largest terms under the maximum size and the
/// categories' maxima. Must-haves are fixed. Forbidden candidates are left out, and beside j also those that exclude j.
/// Minima of size and of categories are not used. With whole-numbered values (problem.integral) the bound is rounded
/// down.
/// The same bits for any number of threads, while no time limit ends it.
UpperBound upper_bound(Context& context, const BundleProblem& problem, const BoundParams& params);

/// (bound - value) / |value|; 0 where they agree, infinity where the value is 0 or there is no bound.
double gap_of(double bound, double value);

}  // namespace sheaf
