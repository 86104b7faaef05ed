#pragma once
/// Full evaluation of given sets: value and violation as defined in problem.hpp, summed from zero, members in the order
/// given.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

struct EvaluateSetsArgs {
  SearchProblems problems;
  int64_t n_sets = 0;  // per problem
  /// [n_problems * n_sets, width] i32 candidates, unique; entries after a negative one are not read
  MatrixView<const int32_t> sets;
  VectorView<float> value;      // [n_problems * n_sets] f32
  VectorView<float> violation;  // [n_problems * n_sets] f32
};

void evaluate_sets(Context& context, const EvaluateSetsArgs& args);
OpCost evaluate_sets_cost(const EvaluateSetsArgs& args);

SHEAF_BACKENDS(evaluate_sets, EvaluateSetsArgs);

}  // namespace sheaf::genetic
