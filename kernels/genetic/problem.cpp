#include "kernels/genetic/problem.hpp"

#include <string>

#include "kernels/core/check.hpp"

namespace sheaf::genetic {

void check_rules(const SearchProblems& problems, const char* op) {
  check_argument(problems.n_problems >= 0 && problems.n_problems < (int64_t{1} << 31), op,
                 "n_problems must be 0 .. 2^31 - 1, got " + std::to_string(problems.n_problems));
  check_argument(problems.n_candidates >= 1 && problems.n_candidates <= kMaxCandidates, op,
                 "n_candidates must be 1 .. 256, got " + std::to_string(problems.n_candidates));
  check_argument(problems.n_limits >= 0 && problems.n_limits <= kMaxLimits, op,
                 "n_limits must be 0 .. 16, got " + std::to_string(problems.n_limits));
  check_argument(0 <= problems.min_size && problems.min_size <= problems.max_size, op,
                 "sizes must satisfy 0 <= min_size <= max_size, got " + std::to_string(problems.min_size) + " .. " +
                     std::to_string(problems.max_size));
  check_argument(problems.min_categories >= 0, op,
                 "min_categories must not be negative, got " + std::to_string(problems.min_categories));
  if (problems.n_problems == 0) return;
  check_argument(problems.n_limits == 0 || (problems.weight && problems.upper), op,
                 "weight and upper are required with n_limits > 0");
  check_argument(problems.category || !(problems.category_min || problems.category_max || problems.min_categories > 0),
                 op, "rules on categories need `category`");
}

void check_problems(const SearchProblems& problems, const char* op) {
  check_rules(problems, op);
  check_argument(problems.n_problems == 0 || (problems.linear && problems.pair), op, "linear and pair are required");
}

int64_t rules_bytes(const SearchProblems& problems) {
  const int64_t n = problems.n_candidates, limits = problems.n_limits;
  const auto size = [&](const void* array, int64_t bytes) { return array == nullptr ? 0 : bytes; };
  const int64_t one = 4 * n * limits + 8 * limits + size(problems.category, 4 * n) +
                      size(problems.category_min, 4 * n) + size(problems.category_max, 4 * n) +
                      size(problems.conflict, 4 * n * kMaskWords) + size(problems.flags, n);
  return problems.n_problems * one;
}

int64_t problem_bytes(const SearchProblems& problems) {
  const int64_t n = problems.n_candidates;
  return rules_bytes(problems) + problems.n_problems * (4 * n * n + 4 * n);
}

}  // namespace sheaf::genetic
