#pragma once
/// Full evaluation of given sets: value and violation as defined in problem.hpp, recomputed from nothing.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/genetic/problem.hpp"

namespace sheaf::genetic {

struct EvaluateSetsArgs {
  Problems problems;
  int64_t n_sets = 0;              // per problem
  VectorView<const int32_t> sets;  // [n_problems, n_sets, kMaxSize] i32 candidate numbers, unique, -1 padded at the end
  VectorView<float> value;         // [n_problems, n_sets] f32
  VectorView<float> violation;     // [n_problems, n_sets] f32
};

void evaluate_sets(Context& context, const EvaluateSetsArgs& args);
OpCost evaluate_sets_cost(const EvaluateSetsArgs& args);

SHEAF_BACKENDS(evaluate_sets, EvaluateSetsArgs);

}  // namespace sheaf::genetic
