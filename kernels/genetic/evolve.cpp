#include "kernels/genetic/evolve.hpp"

#include <string>

#include "kernels/core/check.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/genetic/problem_check.hpp"

namespace sheaf::genetic {
namespace {

void check_params(const EvolveParams& params, const char* op) {
  check_argument(params.population >= 4 && params.population <= 256, op,
                 "population must be 4 .. 256, got " + std::to_string(params.population));
  check_argument(params.generations >= 1, op,
                 "generations must be at least 1, got " + std::to_string(params.generations));
  check_argument(params.tournament >= 1 && params.tournament <= params.population, op,
                 "tournament must be 1 .. population, got " + std::to_string(params.tournament));
  check_argument(params.elite >= 1 && params.elite < params.population, op,
                 "elite must be 1 .. population - 1, got " + std::to_string(params.elite));
  check_argument(params.mutation_rate >= 0.0f && params.mutation_rate <= 1.0f, op,
                 "mutation_rate must be 0 .. 1, got " + std::to_string(params.mutation_rate));
}

}  // namespace

void evolve(Context& context, const EvolveArgs& args) {
  const char* op = "evolve";
  const int64_t n = args.problems.n_problems;
  check_problems(args.problems, op);
  check_params(args.params, op);
  check_argument(args.problem_ids.size == n, op,
                 std::to_string(n) + " problems, but " + std::to_string(args.problem_ids.size) + " problem_ids");
  check_argument(args.best_set.rows == n && args.best_set.cols == kMaxSize, op,
                 "best_set must be [n_problems, 16], got [" + std::to_string(args.best_set.rows) + ", " +
                     std::to_string(args.best_set.cols) + "]");
  check_argument(args.best_value.size == n && args.best_violation.size == n, op,
                 "best_value and best_violation must have n_problems = " + std::to_string(n) + " values");
  check_argument(args.history.empty() || (args.history.rows == n && args.history.cols == args.params.generations), op,
                 "history must be [n_problems, generations] or empty, got [" + std::to_string(args.history.rows) +
                     ", " + std::to_string(args.history.cols) + "]");
  if (n == 0) return;
  SHEAF_DISPATCH(context, evolve, args);
}

/// The flops are those of evaluating every set of every generation once.
OpCost evolve_cost(const EvolveArgs& args) {
  const int64_t size = args.problems.max_size;
  const int64_t n = args.problems.n_problems;
  const int64_t sets = n * args.params.population * args.params.generations;
  return {.bytes = problem_bytes(args.problems) + n * (8 + 4 * kMaxSize + 8) + 4 * args.history.size(),
          .flops = sets * size * (size + 3) / 2};
}

}  // namespace sheaf::genetic
