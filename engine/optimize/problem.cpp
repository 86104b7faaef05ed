#include "engine/optimize/problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "engine/optimize/limit_sum.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr std::array<const char*, 6> kMethodNames{"portfolio", "genetic", "anneal", "greedy", "relaxed", "exact"};

[[noreturn]] void wrong_problem(const std::string& what, const std::string& mend) {
  throw UsageError("bundle problem: " + what, mend);
}

void check_length(const char* field, size_t length, int64_t expected) {
  if (static_cast<int64_t>(length) != expected) {
    wrong_problem(std::string(field) + " has " + std::to_string(length) + " values, not " + std::to_string(expected),
                  "give one a candidate");
  }
}

void check_number(const std::string& field, double value) {
  if (!std::isfinite(value)) wrong_problem(field + " is not finite", "give a number");
  if (std::abs(value) > kMaxNumber) {
    wrong_problem(fmt::format("{} is {}, beyond {:g}", field, value, kMaxNumber), "give all numbers in a larger unit");
  }
}

void check_numbers(const std::string& field, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) check_number(field + "[" + std::to_string(i) + "]", values[i]);
}

void check_candidate(const char* field, int32_t id, int64_t n) {
  if (id < 0 || id >= n) {
    wrong_problem(std::string(field) + " names candidate " + std::to_string(id) + ", of " + std::to_string(n),
                  "candidates count from 0");
  }
}

void check_terms(const BundleProblem& problem) {
  const int64_t n = problem.n;
  check_length("linear", problem.linear.size(), n);
  check_length("pair", problem.pair.size(), n * n);
  check_numbers("linear", problem.linear);
  check_numbers("pair", problem.pair);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      if (problem.pair[static_cast<size_t>(i * n + j)] != problem.pair[static_cast<size_t>(j * n + i)]) {
        wrong_problem("pair[" + std::to_string(i) + ", " + std::to_string(j) + "] differs from pair[" +
                          std::to_string(j) + ", " + std::to_string(i) + "]",
                      "give a symmetric matrix; a pair counts once");
      }
    }
  }
}

void check_limits(const BundleProblem& problem) {
  if (static_cast<int64_t>(problem.limits.size()) > kMaxLimits) {
    wrong_problem(std::to_string(problem.limits.size()) + " limits",
                  "at most " + std::to_string(kMaxLimits) + " are searched");
  }
  for (const WeightLimit& limit : problem.limits) {
    const std::string field = "limit " + (limit.name.empty() ? std::string("weights") : limit.name);
    check_length(field.c_str(), limit.weights.size(), problem.n);
    check_numbers(field, limit.weights);
    if (!(limit.lower <= limit.upper)) wrong_problem(field + ": its lower bound is above its upper", "swap them");
  }
}

void check_categories(const BundleProblem& problem) {
  if (!problem.category.empty()) check_length("category", problem.category.size(), problem.n);
  if (problem.min_categories < 0) wrong_problem("min_categories is negative", "0 for none");
  if (problem.category.empty() && (problem.min_categories > 0 || !problem.category_ranges.empty())) {
    wrong_problem("rules on categories, but no category of the candidates", "give category[n]");
  }
  for (const int32_t category : problem.category) {
    if (category < 0) wrong_problem("category " + std::to_string(category) + " is negative", "number them from 0");
  }
  std::set<int32_t> seen;
  for (const CategoryRange& range : problem.category_ranges) {
    const std::string name = "category " + std::to_string(range.category);
    if (range.min_items < 0 || range.min_items > range.max_items)
      wrong_problem(name + ": an empty range of items", "swap them");
    if (!seen.insert(range.category).second) wrong_problem(name + " has two ranges", "give one");
  }
}

}  // namespace

void BundleProblem::validate() const {
  if (n < 1 || n > kMaxCandidates) {
    wrong_problem(std::to_string(n) + " candidates", "give 1 .. " + std::to_string(kMaxCandidates));
  }
  if (!names.empty()) check_length("names", names.size(), n);
  check_terms(*this);
  check_limits(*this);
  if (min_size < 0 || min_size > max_size) {
    wrong_problem("sizes " + std::to_string(min_size) + " .. " + std::to_string(max_size), "0 <= min_size <= max_size");
  }
  check_categories(*this);
  for (const int32_t id : must_have) check_candidate("must_have", id, n);
  for (const int32_t id : forbidden) check_candidate("forbidden", id, n);
  for (const auto& [a, b] : forbidden_pairs) {
    check_candidate("forbidden_pairs", a, n);
    check_candidate("forbidden_pairs", b, n);
    if (a == b) wrong_problem("candidate " + std::to_string(a) + " is paired with itself", "use `forbidden`");
  }
  for (const std::vector<int32_t>& group : exclusive_groups) {
    for (const int32_t id : group) check_candidate("exclusive_groups", id, n);
    if (std::set<int32_t>(group.begin(), group.end()).size() != group.size()) {
      wrong_problem("an exclusive group names a candidate twice", "name it once");
    }
  }
}

bool is_integral(const BundleProblem& problem) {
  double total = 0.0;
  const auto whole = [&](double x) {
    total += std::abs(x);
    return x == std::floor(x);
  };
  if (!std::ranges::all_of(problem.linear, whole)) return false;
  if (!std::ranges::all_of(problem.pair, whole)) return false;
  return total < 0x1.0p52;
}

double value_of(const BundleProblem& problem, const std::vector<int32_t>& items) {
  double value = 0.0;
  for (size_t a = 0; a < items.size(); ++a) {
    value += problem.linear[static_cast<size_t>(items[a])];
    for (size_t b = 0; b < a; ++b) value += problem.pair[static_cast<size_t>(items[a] * problem.n + items[b])];
  }
  return value;
}

double violation_of(const BundleProblem& problem, const std::vector<int32_t>& items) {
  return violation_of(problem, limit_sums(problem), items);
}

double violation_of(const BundleProblem& problem, const std::vector<LimitSum>& limits,
                    const std::vector<int32_t>& items) {
  std::vector<char> chosen(static_cast<size_t>(problem.n), 0);
  for (const int32_t id : items) chosen[static_cast<size_t>(id)] = 1;
  const auto has = [&](int32_t id) { return chosen[static_cast<size_t>(id)] != 0; };
  const auto size = static_cast<int64_t>(items.size());
  int64_t wrong_items = std::max<int64_t>(0, problem.min_size - size) + std::max<int64_t>(0, size - problem.max_size);
  for (const int32_t id : std::set<int32_t>(problem.must_have.begin(), problem.must_have.end()))
    wrong_items += !has(id);
  for (const int32_t id : std::set<int32_t>(problem.forbidden.begin(), problem.forbidden.end())) wrong_items += has(id);
  std::map<int32_t, int64_t> counts;
  if (!problem.category.empty()) {
    for (const int32_t id : items) ++counts[problem.category[static_cast<size_t>(id)]];
  }
  wrong_items += std::max<int64_t>(0, problem.min_categories - static_cast<int64_t>(counts.size()));
  for (const CategoryRange& range : problem.category_ranges) {
    const auto found = counts.find(range.category);
    const int64_t count = found == counts.end() ? 0 : found->second;
    wrong_items += std::max<int64_t>(0, range.min_items - count) + std::max<int64_t>(0, count - range.max_items);
  }
  std::set<std::pair<int32_t, int32_t>> pairs;
  for (const auto& [a, b] : problem.forbidden_pairs) pairs.insert(std::minmax(a, b));
  for (const auto& [a, b] : pairs) wrong_items += has(a) && has(b);
  for (const std::vector<int32_t>& group : problem.exclusive_groups) {
    wrong_items += std::max<int64_t>(0, std::ranges::count_if(group, has) - 1);
  }
  double violation = static_cast<double>(wrong_items);
  for (const LimitSum& limit : limits) violation += limit.violation(items);
  return violation;
}

SearchMethod search_method(const std::string& name) {
  std::string known;
  for (size_t i = 0; i < kMethodNames.size(); ++i) {
    if (name == kMethodNames[i]) return static_cast<SearchMethod>(i);
    known += (i > 0 ? ", " : "") + std::string(kMethodNames[i]);
  }
  throw UsageError("no search method is called " + name, "use one of " + known);
}

const char* name_of(SearchMethod method) { return kMethodNames[static_cast<size_t>(method)]; }

}  // namespace sheaf
