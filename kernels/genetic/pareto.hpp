#pragma once
/// The sets of a bundle problem that no other set beats in all of several objectives at once: NSGA-II (Deb, Pratap,
/// Agarwal, Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE TEC 6(2), 2002), all
/// generations in one call.
///
/// Objective m of a set S, maximised:
///   f_m(S) = sum over i in S of linear[m, i]  +  sum over i < j in S of pair[m, i, j]  +
///       category_value[m] * (different categories in S)
/// in double precision, members ascending: in float32 100000001 would tie with 100000000 and seem dominated. The
/// constraints and the violation are those of problem.hpp.
///
/// a dominates b if a violates less, or if neither violates anything and a is at least as good in all objectives and
/// better in one (constraint-domination). In a generation, each of N children has two parents, each the better of two
/// drawn from the population. The child takes what both parents hold, and each item that one holds by a coin. It is
/// changed by adds, drops and swaps. Must-haves, forbidden candidates, conflicts and sizes are repaired, limits by
/// dropping items. Parents and children are sorted into fronts. The first N, by front and then crowding distance, are
/// the next population. Of equal sets one counts and the others come last.
/// Draws are keyed by (seed, problem_ids[p], generation, child). All steps are element by element and without fused
/// multiply-add: all backends, numbers of threads and batches give the same bits.
/// A set with an objective that is not finite is infeasible. On the CPU an interrupt ends it between two generations
/// (Interrupted); a launch on a device ends first.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

inline constexpr int32_t kMaxObjectives = 4;
inline constexpr int32_t kMaxPopulation = 256;
inline constexpr int32_t kMaxMembers = 64;

struct ParetoSet {
  uint32_t mask[kMaskWords];  // bit j: candidate j is chosen
  double objective[kMaxObjectives];
  float violation;
};

struct ParetoParams {
  int32_t population = 128;   // 4 .. 256; a front with more sets is thinned where it is crowded
  int32_t generations = 200;  // at least 0
  uint64_t seed = 0;
};

struct ParetoArgs {
  SearchProblems rules;  // the constraints; linear and pair are not read, max_size is at most 64
  ParetoParams params;
  int32_t n_objectives = 0;                // M, 1 .. 4
  const double* linear = nullptr;          // [n_problems, M, C] f64
  const double* pair = nullptr;            // [n_problems, M, C, C] f64, symmetric, diagonal ignored
  const double* category_value = nullptr;  // [n_problems, M] f64, or null: none; needs rules.category
  VectorView<const int64_t> problem_ids;   // [n_problems] keys of the random draws
  MatrixView<ParetoSet> sets;              // [n_problems, population] by front, then crowding
  /// [n_problems] the number of `sets` that are different and that no other set dominates
  VectorView<int32_t> front_size;
};

/// If nothing feasible was found, the front is the sets of least violation.
void pareto(Context& context, const ParetoArgs& args);
OpCost pareto_cost(const ParetoArgs& args);

SHEAF_BACKENDS(pareto, ParetoArgs);

}  // namespace sheaf::genetic
