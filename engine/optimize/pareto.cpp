#include "engine/optimize/pareto.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include "engine/optimize/hypervolume.hpp"
#include "engine/optimize/limit_sum.hpp"
#include "engine/optimize/packed_problem.hpp"
#include "kernels/core/error.hpp"
#include "kernels/genetic/pareto.hpp"

namespace sheaf {
namespace {

constexpr int64_t kMaxGenerations = 100000;

[[noreturn]] void wrong_front(const std::string& what, const std::string& mend) {
  throw UsageError("bundle problem: " + what, mend);
}

/// The rules with zeros for the terms that are not read.
BundleProblem with_terms(const BundleProblem& rules, const Objective& objective) {
  BundleProblem problem = rules;
  const auto n = static_cast<size_t>(std::max<int64_t>(rules.n, 0));
  problem.linear = objective.linear.empty() ? std::vector<double>(n, 0.0) : objective.linear;
  problem.pair = objective.pair.empty() ? std::vector<double>(n * n, 0.0) : objective.pair;
  return problem;
}

void check(const FrontParams& params) {
  if (params.population < 4 || params.population > genetic::kMaxPopulation) {
    wrong_front("a population of " + std::to_string(params.population), "give 4 .. 256");
  }
  if (params.generations < 0 || params.generations > kMaxGenerations) {
    wrong_front(std::to_string(params.generations) + " generations", "give 0 .. 100000");
  }
}

std::vector<int32_t> items_of(const genetic::ParetoSet& set) {
  std::vector<int32_t> items;
  for (int32_t id = 0; id < genetic::kMaxCandidates; ++id) {
    if ((set.mask[id / 32] >> (id % 32) & 1u) != 0) items.push_back(id);
  }
  return items;
}

/// As the device maximises them: what is minimised changes its sign.
std::vector<double> signed_values(const ParetoProblem& problem, const std::vector<double>& values) {
  std::vector<double> result(values);
  for (size_t m = 0; m < result.size(); ++m) result[m] *= problem.objectives[m].maximize ? 1.0 : -1.0;
  return result;
}

/// The last population: the front in the search's own view, then sets that are dominated or seem to break a limit.
std::vector<genetic::ParetoSet> search(Context& context, const PackedProblem& rules, const ParetoProblem& problem,
                                       const FrontParams& params) {
  std::vector<double> linear, pair, category_value;
  for (const Objective& objective : problem.objectives) {
    const BundleProblem terms = with_terms(problem.rules, objective);
    const double sign = objective.maximize ? 1.0 : -1.0;
    for (const double x : terms.linear) linear.push_back(sign * x);
    for (const double x : terms.pair) pair.push_back(sign * x);
    category_value.push_back(sign * objective.category_value);
  }
  const Buffer<double> device_linear(context, linear), device_pair(context, pair),
      device_value(context, category_value);
  const Buffer<int64_t> ids(context, std::vector<int64_t>{params.problem_id});
  Buffer<genetic::ParetoSet> sets(context, params.population);
  Buffer<int32_t> size(context, 1);
  genetic::ParetoArgs args{.rules = rules.view(),
                           .params = {.population = static_cast<int32_t>(params.population),
                                      .generations = static_cast<int32_t>(params.generations),
                                      .seed = params.seed},
                           .n_objectives = static_cast<int32_t>(problem.objectives.size()),
                           .linear = device_linear.data(),
                           .pair = device_pair.data(),
                           .category_value = problem.rules.category.empty() ? nullptr : device_value.data(),
                           .problem_ids = ids.view(),
                           .sets = sets.matrix(1, params.population),
                           .front_size = size.view()};
  genetic::pareto(context, args);
  return sets.to_host();
}

/// As above. Where limits had to be rounded, a second search with looser ones finds what fits to the last unit.
std::vector<genetic::ParetoSet> search_exactly(Context& context, const ParetoProblem& problem,
                                               const FrontParams& params) {
  const PackedProblem rules(context, problem.rules);
  std::vector<genetic::ParetoSet> sets = search(context, rules, problem, params);
  if (rules.is_exact()) return sets;
  const PackedProblem loosened(context, problem.rules, LimitRounding::loosened);
  const std::vector<genetic::ParetoSet> more = search(context, loosened, problem, params);
  sets.insert(sets.end(), more.begin(), more.end());
  return sets;
}

/// Each set once.
void keep_not_dominated(const ParetoProblem& problem, std::vector<FrontSet>& sets) {
  std::vector<std::vector<double>> points;
  for (const FrontSet& set : sets) points.push_back(signed_values(problem, set.values));
  std::vector<FrontSet> kept;
  for (size_t i = 0; i < sets.size(); ++i) {
    if (std::ranges::none_of(points, [&](const auto& other) { return dominates(other, points[i]); })) {
      kept.push_back(sets[i]);
    }
  }
  std::ranges::sort(kept, [&](const FrontSet& a, const FrontSet& b) {
    const std::vector<double> x = signed_values(problem, a.values), y = signed_values(problem, b.values);
    return x != y ? x > y : a.items < b.items;
  });
  const auto repeated = std::ranges::unique(kept, {}, &FrontSet::items);
  kept.erase(repeated.begin(), repeated.end());
  sets = std::move(kept);
}

}  // namespace

void ParetoProblem::validate() const {
  if (objectives.empty() || static_cast<int64_t>(objectives.size()) > kMaxFrontObjectives) {
    wrong_front(std::to_string(objectives.size()) + " objectives", "give 1 .. 4");
  }
  for (size_t m = 0; m < objectives.size(); ++m) {
    const Objective& objective = objectives[m];
    const std::string name = "objective " + (objective.name.empty() ? std::to_string(m + 1) : objective.name);
    try {
      with_terms(rules, objective).validate();
    } catch (const UsageError& error) {
      throw UsageError(name + ": " + error.what(), error.hint());
    }
    if (!std::isfinite(objective.category_value) || !std::isfinite(objective.reference)) {
      wrong_front(name + ": category_value and reference must be finite", "give numbers");
    }
    if (objective.category_value != 0.0 && rules.category.empty()) {
      wrong_front(name + " counts categories, but the candidates have none", "give category[n]");
    }
  }
  if (std::min(rules.max_size, rules.n) > kMaxFrontItems) {
    wrong_front("sets of up to " + std::to_string(std::min(rules.max_size, rules.n)) + " items",
                "several objectives are searched with max_size 64 at most");
  }
}

double value_of(const BundleProblem& rules, const Objective& objective, const std::vector<int32_t>& items) {
  double value = 0.0;
  std::set<int32_t> categories;
  for (size_t a = 0; a < items.size(); ++a) {
    const auto i = static_cast<size_t>(items[a]);
    if (!objective.linear.empty()) value += objective.linear[i];
    for (size_t b = 0; b < a && !objective.pair.empty(); ++b) {
      value += objective.pair[i * static_cast<size_t>(rules.n) + static_cast<size_t>(items[b])];
    }
    if (!rules.category.empty()) categories.insert(rules.category[i]);
  }
  return value + objective.category_value * static_cast<double>(categories.size());
}

Front find_front(Context& context, const ParetoProblem& problem, const FrontParams& params) {
  problem.validate();
  check(params);
  const auto start = std::chrono::steady_clock::now();
  Front front;
  front.violation = std::numeric_limits<double>::infinity();
  const std::vector<LimitSum> limits = limit_sums(problem.rules);
  const std::vector<genetic::ParetoSet> found = search_exactly(context, problem, params);
  for (const genetic::ParetoSet& one : found) {
    FrontSet set{items_of(one), {}};
    const double violation = violation_of(problem.rules, limits, set.items);
    front.violation = std::min(front.violation, violation);
    if (violation > 0.0) continue;
    for (const Objective& objective : problem.objectives) {
      set.values.push_back(value_of(problem.rules, objective, set.items));
    }
    front.sets.push_back(std::move(set));
  }
  front.feasible = !front.sets.empty();
  keep_not_dominated(problem, front.sets);
  std::vector<double> reference;
  for (const Objective& objective : problem.objectives) reference.push_back(objective.reference);
  std::vector<std::vector<double>> points;
  for (const FrontSet& set : front.sets) points.push_back(signed_values(problem, set.values));
  front.hypervolume = hypervolume(points, signed_values(problem, reference));
  front.evaluations = std::ssize(found) * (params.generations + 2);
  front.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return front;
}

}  // namespace sheaf
