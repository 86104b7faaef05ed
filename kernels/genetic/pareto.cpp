#include "kernels/genetic/pareto.hpp"

#include <string>

#include "kernels/core/check.hpp"

namespace sheaf::genetic {

void pareto(Context& context, const ParetoArgs& args) {
  const char* op = "pareto";
  const int64_t n = args.rules.n_problems;
  const ParetoParams& params = args.params;
  check_rules(args.rules, op);
  check_argument(args.rules.max_size <= kMaxMembers, op,
                 "max_size must be at most 64, got " + std::to_string(args.rules.max_size));
  check_argument(params.population >= 4 && params.population <= kMaxPopulation, op,
                 "population must be 4 .. 256, got " + std::to_string(params.population));
  check_argument(params.generations >= 0, op,
                 "generations must not be negative, got " + std::to_string(params.generations));
  check_argument(args.n_objectives >= 1 && args.n_objectives <= kMaxObjectives, op,
                 "n_objectives must be 1 .. 4, got " + std::to_string(args.n_objectives));
  check_argument(args.problem_ids.size == n && args.front_size.size == n, op,
                 "problem_ids and front_size must have n_problems = " + std::to_string(n) + " values");
  check_argument(args.sets.rows == n && args.sets.cols == params.population, op,
                 "sets must be [n_problems, population]");
  if (n == 0) return;
  check_argument(args.linear && args.pair, op, "linear and pair are required");
  check_argument(args.rules.category || !args.category_value, op, "category_value needs `category`");
  SHEAF_DISPATCH(context, pareto, args);
}

/// The flops are the comparisons of objectives that sort the fronts; sets' sizes are not known beforehand.
OpCost pareto_cost(const ParetoArgs& args) {
  const int64_t n = args.rules.n_problems, c = args.rules.n_candidates, m = args.n_objectives;
  const int64_t both = 2 * int64_t{args.params.population};
  return {.bytes = rules_bytes(args.rules) + 8 * n * m * (c * c + c + (args.category_value ? 1 : 0)) + 12 * n +
                   args.sets.size() * static_cast<int64_t>(sizeof(ParetoSet)),
          .flops = n * (int64_t{args.params.generations} + 1) * both * both * m};
}

}  // namespace sheaf::genetic
