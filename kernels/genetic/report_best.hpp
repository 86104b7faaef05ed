#pragma once
/// How both backends of evolve report what they found.

#include "kernels/genetic/evolve.hpp"
#include "kernels/genetic/individual.hpp"

namespace sheaf::genetic {

SHEAF_HD inline void write_history(const EvolveArgs& args, int64_t p, int32_t generation, const Individual& best) {
  if (args.history.data == nullptr || args.history.cols == 0) return;
  const bool feasible = !(best.violation > 0.0f);
  args.history(p, generation) = feasible ? best.value : -std::numeric_limits<float>::infinity();
}

SHEAF_HD inline void write_best(const EvolveArgs& args, int64_t p, const Individual& best) {
  for (int32_t i = 0; i < kMaxSize; ++i)
    args.best_set(p, i) = i < best.size ? static_cast<int32_t>(best.members[i]) : -1;
  args.best_value[p] = best.value;
  args.best_violation[p] = best.violation;
}

}  // namespace sheaf::genetic
