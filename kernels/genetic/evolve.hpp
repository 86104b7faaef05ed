#pragma once
/// Genetic search over bundles: every problem is an island of `population` sets; all generations run in one call, nothing
/// returns to the host in between.
///
/// A generation: keep the `elite` best; fill the rest with children of tournament-selected parents (the intersection of both,
/// filled from their union by gain), mutate (swap, add or drop one member), repair to size, must-have, forbidden and budget. The
/// final best set of an island is improved by single add / drop / swap moves until none helps. A feasible set beats every
/// infeasible one; feasible sets compare by value, infeasible ones by violation; ties by the smaller sorted id list.
/// Draws are keyed by (seed, problem_ids[p], generation, individual): a problem's result does not depend on its batch.
/// Elitism: best_value never falls from one generation to the next.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

struct EvolveParams {
  int32_t population = 64;  // 4 .. 256
  int32_t generations = 60;
  int32_t tournament = 3;
  int32_t elite = 4;
  float mutation_rate = 0.3f;  // chance that a child is mutated
  uint64_t seed = 0;
};

struct EvolveArgs {
  Problems problems;
  EvolveParams params;
  VectorView<const int64_t> problem_ids;  // [n_problems] keys of the random draws
  MatrixView<int32_t> best_set;           // [n_problems, kMaxSize] i32 ascending, -1 padded
  VectorView<float> best_value;           // [n_problems] f32
  VectorView<float> best_violation;       // [n_problems] f32, 0 when feasible
  MatrixView<float> history;  // [n_problems, generations] f32 best feasible value so far (-inf: none), or empty
};

void evolve(Context& context, const EvolveArgs& args);
OpCost evolve_cost(const EvolveArgs& args);

SHEAF_BACKENDS(evolve, EvolveArgs);

}  // namespace sheaf::genetic
