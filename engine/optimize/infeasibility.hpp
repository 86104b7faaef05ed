#pragma once
/// Why a bundle problem has no feasible set, and what would help.

#include <string>
#include <vector>

#include "engine/optimize/problem.hpp"

namespace sheaf {

/// One constraint that, changed alone, makes the whole problem feasible.
struct Relaxation {
  std::string constraint;
  double from = 0.0, to = 0.0;  // its number, and the nearest one that helps
  bool drop = false;            // it has no number: it must be removed
  double size = 0.0;            // |to - from| / max(|from|, 1); 1 for one that must go
};

struct Conflict {
  std::vector<std::string> constraints;  // that clash; empty: not shown within the limit of nodes
  bool irreducible = false;              // without any one of them the others can be met
  std::vector<Relaxation> relaxations;   // the smallest first; empty: no single one helps, or none was found
};

/// For a problem without a feasible set. A deletion filter with the exact search: each constraint in turn is left out
/// for good if the rest still cannot be met. `node_limit` is the limit of each search; a constraint that cannot be
/// decided within it stays in. Candidates without names are counted from `first`.
Conflict find_conflict(const BundleProblem& problem, int64_t node_limit, int32_t first = 0);

}  // namespace sheaf
