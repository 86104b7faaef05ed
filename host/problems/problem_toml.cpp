#include "host/problems/problem_toml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/data/nearest.hpp"
#include "engine/data/shown.hpp"
#include "host/config/toml.hpp"
#include "host/problems/problem_text.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::problems {
namespace {

/// One table of the file; refuses keys that nobody knows.
class Fields {
 public:
  Fields(const std::filesystem::path& path, const toml::table& table, const std::vector<std::string>& known)
      : path_(path), table_(table) {
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      if (std::ranges::find(known, name) != known.end()) continue;
      throw UsageError(fmt::format("{}nobody knows the key '{}'", config::location(path, node), text::shown(name)),
                       fmt::format("did you mean '{}'?", text::nearest(name, known)));
    }
  }

  const toml::node* find(const char* key) const { return table_.get(key); }

  [[noreturn]] void fail(const toml::node& node, const std::string& what, const std::string& mend) const {
    throw UsageError(config::location(path_, node) + what, mend);
  }

  const toml::array& array(const char* key, const toml::node& node) const {
    if (!node.is_array()) fail(node, fmt::format("{} is not a list", key), "write it in [ ]");
    return *node.as_array();
  }

  double real(const char* key, const toml::node& node) const {
    if (const auto whole = node.value_exact<int64_t>()) {
      const auto held = static_cast<double>(*whole);
      if (is_rounded(std::to_string(*whole), held)) {
        fail(node, fmt::format("{} holds {}, which a double rounds to {:.0f}", key, *whole, held), kRoundedMend);
      }
      return held;
    }
    const auto value = node.value_exact<double>();
    if (!value || !std::isfinite(*value)) fail(node, fmt::format("{} is not a finite number", key), "write a number");
    return *value;
  }

  /// A number that is added up with others.
  double term(const char* key, const toml::node& node) const {
    const double value = real(key, node);
    if (std::abs(value) > kMaxNumber) {
      fail(node, fmt::format("{} holds {}, beyond {:g}", key, value, kMaxNumber), "give all numbers in a larger unit");
    }
    return value;
  }

  int64_t whole(const char* key, const toml::node& node, int64_t low, int64_t high) const {
    const auto value = node.value_exact<int64_t>();
    if (!value)
      fail(node, fmt::format("{} is not a whole number", key), fmt::format("write one of {} .. {}", low, high));
    if (*value < low || *value > high) {
      fail(node, fmt::format("{} is {}", key, *value), fmt::format("write a whole number of {} .. {}", low, high));
    }
    return *value;
  }

  /// A text, or a whole number as text: ids often are numbers.
  std::string text(const char* key, const toml::node& node) const {
    if (const auto number = node.value_exact<int64_t>()) return std::to_string(*number);
    const auto value = node.value_exact<std::string>();
    if (!value) fail(node, fmt::format("{} holds something else than texts", key), "write it in quotes");
    if (value->empty()) fail(node, fmt::format("{} holds an empty text", key), "write a name, or leave the key out");
    return *value;
  }

  void read(const char* key, std::string& value) const {
    if (const toml::node* node = find(key)) value = text(key, *node);
  }
  void read(const char* key, int64_t low, int64_t high, int64_t& value) const {
    if (const toml::node* node = find(key)) value = whole(key, *node, low, high);
  }
  void read(const char* key, double& value) const {
    if (const toml::node* node = find(key)) value = real(key, *node);
  }
  void read(const char* key, std::vector<double>& values, int64_t n) const {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    values.clear();
    for (const toml::node& one : array(key, *node)) values.push_back(term(key, one));
    check_count(key, *node, values.size(), n);
  }
  void read(const char* key, std::vector<int32_t>& values, int64_t high) const {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    values.clear();
    for (const toml::node& one : array(key, *node)) values.push_back(static_cast<int32_t>(whole(key, one, 0, high)));
  }
  /// Lists of candidates.
  std::vector<std::vector<int32_t>> lists(const char* key, int64_t n) const {
    std::vector<std::vector<int32_t>> result;
    const toml::node* node = find(key);
    if (node == nullptr) return result;
    for (const toml::node& list : array(key, *node)) {
      result.emplace_back();
      for (const toml::node& one : array(key, list)) {
        result.back().push_back(static_cast<int32_t>(whole(key, one, 0, n - 1)));
      }
    }
    return result;
  }
  void check_count(const char* key, const toml::node& node, size_t count, int64_t n) const {
    if (static_cast<int64_t>(count) == n) return;
    fail(node, fmt::format("{} has {} values, not {}", key, count, n), "give one a candidate");
  }

 private:
  const std::filesystem::path& path_;
  const toml::table& table_;
};

/// pairs = [[i, j, value], ...], each pair once; [n, n], empty without them.
std::vector<double> read_pairs(const Fields& fields, int64_t n_candidates) {
  const toml::node* node = fields.find("pairs");
  if (node == nullptr) return {};
  const auto n = static_cast<size_t>(n_candidates);
  std::vector<double> pair(n * n, 0.0);
  std::vector<char> seen(n * n, 0);
  for (const toml::node& entry : fields.array("pairs", *node)) {
    const toml::array& triple = fields.array("pairs", entry);
    if (triple.size() != 3)
      fields.fail(entry, "an entry of pairs is not [i, j, value]", "give two candidates and a number");
    const auto i = static_cast<size_t>(fields.whole("pairs", triple[0], 0, n_candidates - 1));
    const auto j = static_cast<size_t>(fields.whole("pairs", triple[1], 0, n_candidates - 1));
    if (i == j) fields.fail(entry, fmt::format("candidate {} is paired with itself", i), "add the value to linear");
    if (seen[i * n + j] != 0) fields.fail(entry, fmt::format("the pair {}, {} stands twice", i, j), "add the two up");
    seen[i * n + j] = seen[j * n + i] = 1;
    pair[i * n + j] = pair[j * n + i] = fields.term("pairs", triple[2]);
  }
  return pair;
}

const toml::array* tables(const Fields& fields, const char* key) {
  const toml::node* node = fields.find(key);
  if (node == nullptr) return nullptr;
  const toml::array& list = fields.array(key, *node);
  for (const toml::node& one : list) {
    if (!one.is_table())
      fields.fail(one, fmt::format("{} holds something else than tables", key), fmt::format("write [[{}]]", key));
  }
  return &list;
}

void read_limits(const std::filesystem::path& path, const Fields& fields, BundleProblem& problem) {
  const toml::array* list = tables(fields, "limit");
  if (list == nullptr) return;
  for (const toml::node& one : *list) {
    const Fields entry(path, *one.as_table(), {"name", "weights", "lower", "upper"});
    WeightLimit limit;
    entry.read("name", limit.name);
    entry.read("weights", limit.weights, problem.n);
    entry.read("lower", limit.lower);
    entry.read("upper", limit.upper);
    entry.check_count("weights", one, limit.weights.size(), problem.n);
    if (entry.find("lower") == nullptr && entry.find("upper") == nullptr) {
      entry.fail(one, "a limit has neither lower nor upper", "give one of them, or both");
    }
    problem.limits.push_back(std::move(limit));
  }
}

void read_ranges(const std::filesystem::path& path, const Fields& fields, BundleProblem& problem) {
  const toml::array* list = tables(fields, "category_range");
  if (list == nullptr) return;
  for (const toml::node& one : *list) {
    const Fields entry(path, *one.as_table(), {"category", "min", "max"});
    int64_t category = 0, least = 0, most = kMaxCandidates;
    entry.read("category", 0, INT32_MAX, category);
    entry.read("min", 0, kMaxCandidates, least);
    entry.read("max", 0, kMaxCandidates, most);
    problem.category_ranges.push_back(
        {static_cast<int32_t>(category), static_cast<int32_t>(least), static_cast<int32_t>(most)});
  }
}

const std::vector<std::string> kRuleKeys{"names",     "limit",           "min_size",        "max_size",
                                         "category",  "category_range",  "min_categories",  "must_have",
                                         "forbidden", "forbidden_pairs", "exclusive_groups"};

std::vector<std::string> with_rules(std::vector<std::string> keys) {
  keys.insert(keys.end(), kRuleKeys.begin(), kRuleKeys.end());
  return keys;
}

int64_t count_candidates(const Fields& fields, const toml::node& linear) {
  const auto n = static_cast<int64_t>(fields.array("linear", linear).size());
  if (n < 1 || n > kMaxCandidates) {
    fields.fail(linear, fmt::format("{} candidates", n), fmt::format("give 1 .. {}", kMaxCandidates));
  }
  return n;
}

/// All but the terms; problem.n is known.
void read_rules(const std::filesystem::path& path, const Fields& fields, BundleProblem& problem) {
  if (const toml::node* names = fields.find("names")) {
    for (const toml::node& name : fields.array("names", *names)) {
      problem.names.push_back(fields.text("names", name));
    }
    fields.check_count("names", *names, problem.names.size(), problem.n);
  }
  fields.read("min_size", 0, kMaxCandidates, problem.min_size);
  fields.read("max_size", 0, kMaxCandidates, problem.max_size);
  fields.read("min_categories", 0, kMaxCandidates, problem.min_categories);
  fields.read("category", problem.category, INT32_MAX);
  if (const toml::node* node = fields.find("category")) {
    fields.check_count("category", *node, problem.category.size(), problem.n);
  }
  fields.read("must_have", problem.must_have, problem.n - 1);
  fields.read("forbidden", problem.forbidden, problem.n - 1);
  for (const std::vector<int32_t>& pair : fields.lists("forbidden_pairs", problem.n)) {
    if (pair.size() != 2)
      fields.fail(*fields.find("forbidden_pairs"), "a forbidden pair is not two candidates", "write [i, j]");
    problem.forbidden_pairs.emplace_back(pair[0], pair[1]);
  }
  problem.exclusive_groups = fields.lists("exclusive_groups", problem.n);
  read_limits(path, fields, problem);
  read_ranges(path, fields, problem);
}

Objective read_objective(const Fields& fields, int64_t n) {
  Objective objective;
  fields.read("name", objective.name);
  fields.read("linear", objective.linear, n);
  objective.pair = read_pairs(fields, n);
  if (const toml::node* node = fields.find("category_value")) {
    objective.category_value = fields.term("category_value", *node);
  }
  fields.read("reference", objective.reference);
  if (const toml::node* node = fields.find("maximize")) {
    const auto value = node->value_exact<bool>();
    if (!value) fields.fail(*node, "maximize is neither true nor false", "write true or false");
    objective.maximize = *value;
  }
  return objective;
}

}  // namespace

BundleProblem read_problem_toml(const std::filesystem::path& path) {
  const toml::table table = config::parse_toml(path);
  const Fields fields(path, table, with_rules({"linear", "pairs", "objective"}));
  if (const toml::node* node = fields.find("objective")) {
    fields.fail(*node, "a problem of several objectives", "add --front, or give linear and pairs instead");
  }
  BundleProblem problem;
  const toml::node* linear = fields.find("linear");
  if (linear == nullptr) throw UsageError(path.string() + ": no key 'linear'", "give the value of each candidate");
  problem.n = count_candidates(fields, *linear);
  fields.read("linear", problem.linear, problem.n);
  problem.pair = read_pairs(fields, problem.n);
  problem.pair.resize(static_cast<size_t>(problem.n * problem.n), 0.0);
  read_rules(path, fields, problem);
  return problem;
}

ParetoProblem read_pareto_toml(const std::filesystem::path& path) {
  const toml::table table = config::parse_toml(path);
  const Fields fields(path, table, with_rules({"linear", "pairs", "objective"}));
  for (const char* key : {"linear", "pairs"}) {
    if (const toml::node* node = fields.find(key)) {
      fields.fail(*node, fmt::format("{} outside of an objective", key), "move it into an [[objective]]");
    }
  }
  ParetoProblem problem;
  const toml::array* list = tables(fields, "objective");
  if (list == nullptr || list->empty()) {
    throw UsageError(path.string() + ": no objective",
                     "give [[objective]] tables with linear, pairs or category_value");
  }
  for (const toml::node& one : *list) {
    const Fields entry(path, *one.as_table(), {"name", "linear", "pairs", "category_value", "maximize", "reference"});
    if (problem.objectives.empty()) {
      const toml::node* linear = entry.find("linear");
      if (linear == nullptr)
        entry.fail(one, "the first objective has no linear", "give one term a candidate; 0 is one");
      problem.rules.n = count_candidates(entry, *linear);
    }
    problem.objectives.push_back(read_objective(entry, problem.rules.n));
  }
  read_rules(path, fields, problem.rules);
  return problem;
}

}  // namespace sheaf::problems
