#include "host/problems/write_problem.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

namespace sheaf::problems {
namespace {

/// A basic string of TOML, whose escapes are those of JSON.
std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Numbers are written with + 0: a negative zero reads back as a whole 0, without its sign.
template <class T>
std::string list_of(const std::vector<T>& values) {
  std::string out;
  for (const T& value : values) out += fmt::format("{}{}", out.empty() ? "" : ", ", value + T{});
  return "[" + out + "]";
}

std::string pairs_text(const std::vector<double>& pair, size_t n) {
  std::string out;
  for (size_t i = 0; i < n && !pair.empty(); ++i) {
    for (size_t j = i + 1; j < n; ++j) {
      if (pair[i * n + j] != 0.0) out += fmt::format("  [{}, {}, {}],\n", i, j, pair[i * n + j]);
    }
  }
  return out.empty() ? out : "pairs = [\n" + out + "]\n";
}

/// Keys of the file itself; they stand before its tables.
std::string rules_text(const BundleProblem& problem) {
  std::string out;
  if (!problem.names.empty()) {
    out += "names = [\n";
    for (const std::string& name : problem.names) out += "  " + quoted(name) + ",\n";
    out += "]\n";
  }
  out += fmt::format("min_size = {}\nmax_size = {}\n", problem.min_size, problem.max_size);
  if (!problem.category.empty()) out += "category = " + list_of(problem.category) + "\n";
  if (problem.min_categories > 0) out += fmt::format("min_categories = {}\n", problem.min_categories);
  if (!problem.must_have.empty()) out += "must_have = " + list_of(problem.must_have) + "\n";
  if (!problem.forbidden.empty()) out += "forbidden = " + list_of(problem.forbidden) + "\n";
  std::string pairs, groups;
  for (const auto& [i, j] : problem.forbidden_pairs)
    pairs += fmt::format("{}[{}, {}]", pairs.empty() ? "" : ", ", i, j);
  if (!pairs.empty()) out += "forbidden_pairs = [" + pairs + "]\n";
  for (const std::vector<int32_t>& group : problem.exclusive_groups) {
    groups += (groups.empty() ? "" : ", ") + list_of(group);
  }
  if (!groups.empty()) out += "exclusive_groups = [" + groups + "]\n";
  return out;
}

std::string rule_tables(const BundleProblem& problem) {
  std::string out;
  for (const WeightLimit& limit : problem.limits) {
    out += "\n[[limit]]\n";
    if (!limit.name.empty()) out += "name = " + quoted(limit.name) + "\n";
    out += "weights = " + list_of(limit.weights) + "\n";
    if (std::isfinite(limit.lower)) out += fmt::format("lower = {}\n", limit.lower + 0.0);
    if (std::isfinite(limit.upper)) out += fmt::format("upper = {}\n", limit.upper + 0.0);
  }
  for (const CategoryRange& range : problem.category_ranges) {
    out += fmt::format("\n[[category_range]]\ncategory = {}\nmin = {}\nmax = {}\n", range.category, range.min_items,
                       range.max_items);
  }
  return out;
}

}  // namespace

std::string problem_toml(const BundleProblem& problem) {
  return "linear = " + list_of(problem.linear) + "\n" + rules_text(problem) +
         pairs_text(problem.pair, static_cast<size_t>(problem.n)) + rule_tables(problem);
}

std::string pareto_toml(const ParetoProblem& problem) {
  std::string out = rules_text(problem.rules) + rule_tables(problem.rules);
  const auto n = static_cast<size_t>(problem.rules.n);
  for (const Objective& objective : problem.objectives) {
    // The first objective's terms say how many candidates there are.
    const std::vector<double> linear = objective.linear.empty() ? std::vector<double>(n, 0.0) : objective.linear;
    out += "\n[[objective]]\n";
    if (!objective.name.empty()) out += "name = " + quoted(objective.name) + "\n";
    out += "linear = " + list_of(linear) + "\n" + pairs_text(objective.pair, n);
    if (objective.category_value != 0.0) out += fmt::format("category_value = {}\n", objective.category_value);
    if (!objective.maximize) out += "maximize = false\n";
    if (objective.reference != 0.0) out += fmt::format("reference = {}\n", objective.reference);
  }
  return out;
}

}  // namespace sheaf::problems
