#pragma once
/// What both backends of evaluate_sets do for one set.

#include "kernels/genetic/evaluate_sets.hpp"
#include "kernels/genetic/individual.hpp"

namespace sheaf::genetic {

SHEAF_HD inline void evaluate_one_set(const EvaluateSetsArgs& args, const ProblemView& problem, int64_t place) {
  const int32_t* ids = args.sets.data + place * kMaxSize;
  Individual set;
  clear(set);
  for (int64_t i = 0; i < kMaxSize; ++i) {
    if (ids[i] < 0 || ids[i] >= problem.n_candidates) break;
    if (!contains(set, ids[i])) insert(set, ids[i]);
  }
  evaluate(problem, set);
  args.value[place] = set.value;
  args.violation[place] = set.violation;
}

}  // namespace sheaf::genetic
