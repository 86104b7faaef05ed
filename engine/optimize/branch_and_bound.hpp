#pragma once
/// The optimum by branch and bound, for small problems and as the oracle of the other methods.

#include "engine/optimize/problem.hpp"

namespace sheaf {

struct ExactParams {
  double time_limit = 0.0;         // seconds; 0: none
  int64_t node_limit = 0;          // 0: none; the same answer on every run, as a time limit is not
  std::vector<int32_t> start{};    // a set already found: only better ones are looked for
  bool any_feasible = false;       // stop at the first feasible set, whatever its value
  bool keep_on_interrupt = false;  // an interrupt ends the search as a time limit does
};

/// Candidates join in a fixed order, the most promising first; a branch ends where the rest cannot mend a constraint, or where the best
/// `room` gains, each with half of its largest pair terms, cannot beat the best set. All kinds of constraints. `proven` is set unless a
/// limit ended it: then the answer is optimal or, if not feasible, nothing is. An infeasible answer holds no items.
BundleAnswer solve_exact(const BundleProblem& problem, const ExactParams& params);

}  // namespace sheaf
