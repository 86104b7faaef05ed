#pragma once
/// The optimum by branch and bound, for small problems and as the oracle of the other methods.

#include "engine/optimize/problem.hpp"

namespace sheaf {

struct ExactParams {
  double time_limit = 0.0;         // seconds; 0: none
  int64_t node_limit = 0;          // 0: none; it gives the same answer on every run, a time limit does not
  std::vector<int32_t> start{};    // a set already found: only better ones are looked for
  bool any_feasible = false;       // stop at the first feasible set, whatever its value
  bool keep_on_interrupt = false;  // an interrupt ends the search as a time limit does
};

/// Candidates join in a fixed order, the most promising first. A branch is pruned when it is infeasible or when its
/// bound cannot beat the incumbent: the bound is the best `room` gains, each with half of its largest pair terms. All
/// kinds of constraints. `proven` is set unless a limit ended the search. Then the answer is optimal or, if not
/// feasible, the problem is infeasible. An infeasible answer holds no items.
BundleAnswer solve_exact(const BundleProblem& problem, const ExactParams& params);

}  // namespace sheaf
