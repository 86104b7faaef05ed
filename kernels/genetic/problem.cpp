#include "kernels/genetic/problem.hpp"

#include <limits>
#include <string>

#include "kernels/core/check.hpp"
#include "kernels/genetic/problem_check.hpp"

namespace sheaf::genetic {

void check_problems(const Problems& problems, const char* op) {
  check_argument(problems.n_problems >= 0 && problems.n_problems <= std::numeric_limits<int32_t>::max(), op,
                 "n_problems must be 0 .. 2^31 - 1, got " + std::to_string(problems.n_problems));
  check_argument(problems.n_candidates >= 1 && problems.n_candidates <= kMaxCandidates, op,
                 "n_candidates must be 1 .. 256, got " + std::to_string(problems.n_candidates));
  check_argument(1 <= problems.min_size && problems.min_size <= problems.max_size && problems.max_size <= kMaxSize, op,
                 "sizes must satisfy 1 <= min_size <= max_size <= 16, got " + std::to_string(problems.min_size) +
                     " .. " + std::to_string(problems.max_size));
  check_argument(problems.min_categories >= 0, op,
                 "min_categories must not be negative, got " + std::to_string(problems.min_categories));
  check_argument(problems.n_problems == 0 || (problems.linear && problems.pair && problems.price && problems.category &&
                                              problems.flags && problems.budget),
                 op, "linear, pair, price, category, flags and budget are all required");
}

int64_t problem_bytes(const Problems& problems) {
  const int64_t n = problems.n_candidates;
  return problems.n_problems * (4 * n * n + 4 * n + 4 * n + 4 * n + n + 4);
}

}  // namespace sheaf::genetic
