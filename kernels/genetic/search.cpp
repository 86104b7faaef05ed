#include "kernels/genetic/search.hpp"

#include <string>

#include "kernels/core/check.hpp"
#include "kernels/genetic/search_pool.hpp"

namespace sheaf::genetic {
namespace {

void check_search_problems(const SearchProblems& problems, const char* op) {
  check_argument(problems.n_problems >= 0 && problems.n_problems < (int64_t{1} << 31), op,
                 "n_problems must be 0 .. 2^31 - 1, got " + std::to_string(problems.n_problems));
  check_argument(problems.n_candidates >= 1 && problems.n_candidates <= kMostSearched, op,
                 "n_candidates must be 1 .. 256, got " + std::to_string(problems.n_candidates));
  check_argument(problems.n_limits >= 0 && problems.n_limits <= kMostUpper, op,
                 "n_limits must be 0 .. 16, got " + std::to_string(problems.n_limits));
  check_argument(0 <= problems.min_size && problems.min_size <= problems.max_size, op,
                 "sizes must satisfy 0 <= min_size <= max_size, got " + std::to_string(problems.min_size) + " .. " +
                     std::to_string(problems.max_size));
  check_argument(problems.min_categories >= 0, op,
                 "min_categories must not be negative, got " + std::to_string(problems.min_categories));
  if (problems.n_problems == 0) return;
  check_argument(problems.linear && problems.pair, op, "linear and pair are required");
  check_argument(problems.n_limits == 0 || (problems.weight && problems.upper), op,
                 "weight and upper are required with n_limits > 0");
  check_argument(problems.category || !(problems.category_min || problems.category_max || problems.min_categories > 0),
                 op, "rules on categories need `category`");
}

}  // namespace

void search(Context& context, const SearchArgs& args) {
  const char* op = "search";
  const SearchParams& params = args.params;
  const int64_t n = args.problems.n_problems;
  check_search_problems(args.problems, op);
  check_argument(params.chains >= 1 && params.chains <= kMostChains, op,
                 "chains must be 1 .. 32, got " + std::to_string(params.chains));
  check_argument(params.rounds >= 1 && params.iterations >= 1 && params.first_round >= 0, op,
                 "rounds and iterations must be at least 1 and first_round at least 0");
  check_argument(args.problem_ids.size == n && args.evaluations.size == n, op,
                 "problem_ids and evaluations must have n_problems = " + std::to_string(n) + " values");
  check_argument(args.pool.rows == n && args.pool.cols == params.chains, op, "pool must be [n_problems, chains]");
  check_argument(args.history.empty() || (args.history.rows == n && args.history.cols == params.rounds), op,
                 "history must be [n_problems, rounds] or empty");
  if (n == 0) return;
  SHEAF_DISPATCH(context, search, args);
}

/// The flops are those of one row of swaps for each move of each chain, three a swap: a set's size is not known beforehand.
OpCost search_cost(const SearchArgs& args) {
  const SearchProblems& problems = args.problems;
  const int64_t n = problems.n_problems, c = problems.n_candidates;
  const int64_t moves = n * args.params.chains * args.params.rounds * args.params.iterations;
  return {.bytes = n * (4 * c * c + 4 * c * (1 + problems.n_limits) + 8 * problems.n_limits + 16) +
                   n * args.params.chains * static_cast<int64_t>(sizeof(SearchSet)) + 4 * args.history.size(),
          .flops = 3 * moves * c};
}

}  // namespace sheaf::genetic
