#include "kernels/genetic/search.hpp"

#include <string>

#include "kernels/core/check.hpp"
#include "kernels/genetic/search_islands.hpp"

namespace sheaf::genetic {
void search(Context& context, const SearchArgs& args) {
  const char* op = "search";
  const SearchParams& params = args.params;
  const int64_t n = args.problems.n_problems;
  check_problems(args.problems, op);
  check_argument(params.local_searches >= 1 && params.local_searches <= kMaxLocalSearches, op,
                 "local_searches must be 1 .. 32, got " + std::to_string(params.local_searches));
  check_argument(params.rounds >= 1 && params.iterations >= 1 && params.first_round >= 0, op,
                 "rounds and iterations must be at least 1 and first_round at least 0");
  check_argument(params.islands >= 1 && params.islands <= kMaxIslands && params.migrate_every >= 0, op,
                 "islands must be 1 .. 65536 and migrate_every at least 0, got " + std::to_string(params.islands) +
                     " and " + std::to_string(params.migrate_every));
  check_argument(args.problem_ids.size == n && args.evaluations.size == n, op,
                 "problem_ids and evaluations must have n_problems = " + std::to_string(n) + " values");
  check_argument(args.pool.rows == n && args.pool.cols == params.local_searches, op,
                 "pool must be [n_problems, local_searches]");
  check_argument(
      args.island_pools.empty() ||
          (args.island_pools.rows == n && args.island_pools.cols == int64_t{params.islands} * params.local_searches),
      op, "island_pools must be [n_problems, islands * local_searches] or empty");
  check_argument(args.history.empty() || (args.history.rows == n && args.history.cols == params.rounds), op,
                 "history must be [n_problems, rounds] or empty");
  if (n == 0) return;
  SHEAF_DISPATCH(context, search, args);
}

/// The flops of one row of swaps for each move of each local search, three for a swap: a set's size is not known
/// beforehand.
OpCost search_cost(const SearchArgs& args) {
  const SearchProblems& problems = args.problems;
  const int64_t n = problems.n_problems, c = problems.n_candidates;
  const int64_t moves =
      n * args.params.islands * args.params.local_searches * args.params.rounds * args.params.iterations;
  return {.bytes = problem_bytes(problems) + n * 16 +
                   n * args.params.local_searches * static_cast<int64_t>(sizeof(SearchSet)) + 4 * args.history.size(),
          .flops = 3 * moves * c};
}

}  // namespace sheaf::genetic
