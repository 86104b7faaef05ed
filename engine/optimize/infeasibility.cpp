#include "engine/optimize/infeasibility.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/optimize/branch_and_bound.hpp"
#include "engine/optimize/limit_sum.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

using Change = std::function<void(BundleProblem&)>;

struct Constraint {
  std::string text;
  Change drop;
  double number = 0.0;         // as the problem has it
  std::vector<double> counts;  // [n] what each candidate adds to the counted sum; empty: no number to change
  bool upper = false;          // the sum must not exceed the number, else not fall below it
};

/// All constraints of a problem. Limits and ranges keep their places when one is dropped, so that the changes commute.
class Constraints {
 public:
  Constraints(const BundleProblem& problem, int32_t first) : problem_(problem), first_(first) {
    add_sizes();
    for (size_t r = 0; r < problem.limits.size(); ++r) add_limit(r);
    for (size_t k = 0; k < problem.category_ranges.size(); ++k) add_range(k);
    if (problem.min_categories > 0) {
      add(fmt::format("min_categories = {}", problem.min_categories), [](BundleProblem& p) { p.min_categories = 0; });
    }
    add_lists();
  }

  std::vector<Constraint> take() { return std::move(list_); }

 private:
  void add(const std::string& text, Change drop) { list_.push_back({text, std::move(drop), 0.0, {}, false}); }
  void add(const std::string& text, Change drop, double number, std::vector<double> counts, bool upper) {
    list_.push_back({text, std::move(drop), number, std::move(counts), upper});
  }

  std::string label(int32_t id) const {
    return problem_.names.empty() ? std::to_string(id + first_) : problem_.names[static_cast<size_t>(id)];
  }

  void add_sizes() {
    const std::vector<double> ones(static_cast<size_t>(problem_.n), 1.0);
    if (problem_.min_size > 0) {
      add(
          fmt::format("min_size = {}", problem_.min_size), [](BundleProblem& p) { p.min_size = 0; },
          static_cast<double>(problem_.min_size), ones, false);
    }
    if (problem_.max_size < problem_.n) {
      add(
          fmt::format("max_size = {}", problem_.max_size), [](BundleProblem& p) { p.max_size = kMaxCandidates; },
          static_cast<double>(problem_.max_size), ones, true);
    }
  }

  void add_limit(size_t r) {
    const WeightLimit& limit = problem_.limits[r];
    const std::string name = limit.name.empty() ? fmt::format("limit {}", r) : limit.name;
    if (std::isfinite(limit.upper)) {
      add(
          fmt::format("{} <= {}", name, limit.upper), [r](BundleProblem& p) { p.limits[r].upper = kNoLimit; },
          limit.upper, limit.weights, true);
    }
    if (std::isfinite(limit.lower)) {
      add(
          fmt::format("{} >= {}", name, limit.lower), [r](BundleProblem& p) { p.limits[r].lower = -kNoLimit; },
          limit.lower, limit.weights, false);
    }
  }

  void add_range(size_t k) {
    const CategoryRange& range = problem_.category_ranges[k];
    std::vector<double> counts;
    for (const int32_t category : problem_.category) counts.push_back(category == range.category ? 1.0 : 0.0);
    if (range.min_items > 0) {
      add(
          fmt::format("category {} >= {} items", range.category, range.min_items),
          [k](BundleProblem& p) { p.category_ranges[k].min_items = 0; }, range.min_items, counts, false);
    }
    if (range.max_items < problem_.n) {
      add(
          fmt::format("category {} <= {} items", range.category, range.max_items),
          [k](BundleProblem& p) { p.category_ranges[k].max_items = static_cast<int32_t>(kMaxCandidates); },
          range.max_items, counts, true);
    }
  }

  void add_lists() {
    for (const int32_t id : problem_.must_have) {
      add("must have " + label(id), [id](BundleProblem& p) { std::erase(p.must_have, id); });
    }
    for (const int32_t id : problem_.forbidden) {
      add("forbidden " + label(id), [id](BundleProblem& p) { std::erase(p.forbidden, id); });
    }
    for (const auto& pair : problem_.forbidden_pairs) {
      add(fmt::format("not both {} and {}", label(pair.first), label(pair.second)),
          [pair](BundleProblem& p) { std::erase(p.forbidden_pairs, pair); });
    }
    for (const std::vector<int32_t>& group : problem_.exclusive_groups) {
      std::string members;
      for (const int32_t id : group) members += (members.empty() ? "" : ", ") + label(id);
      add("at most one of " + members, [group](BundleProblem& p) { std::erase(p.exclusive_groups, group); });
    }
  }

  const BundleProblem& problem_;
  int32_t first_;
  std::vector<Constraint> list_;
};

/// The problem without terms: any feasible set is as good as another.
BundleProblem without_terms(const BundleProblem& problem) {
  BundleProblem bare(problem);
  std::ranges::fill(bare.linear, 0.0);
  std::ranges::fill(bare.pair, 0.0);
  return bare;
}

/// The least change of one constraint that helps, if any.
bool relax(const BundleProblem& bare, const Constraint& constraint, int64_t node_limit, Relaxation& relaxation) {
  BundleProblem without(bare);
  constraint.drop(without);
  relaxation.constraint = constraint.text;
  if (constraint.counts.empty()) {
    relaxation.drop = true;
    relaxation.size = 1.0;
    return solve_exact(without, {.node_limit = node_limit, .any_feasible = true}).feasible;
  }
  without.linear = constraint.counts;
  if (constraint.upper) {
    for (double& count : without.linear) count = -count;
  }
  without.integral = is_integral(without);
  const BundleAnswer nearest = solve_exact(without, {.node_limit = node_limit});
  if (!nearest.feasible || !nearest.proven) return false;
  relaxation.from = constraint.number;
  relaxation.to = LimitSum({.weights = constraint.counts}).of(nearest.items);
  relaxation.size = std::abs(relaxation.to - relaxation.from) / std::max(std::abs(relaxation.from), 1.0);
  return true;
}

}  // namespace

Conflict find_conflict(const BundleProblem& problem, int64_t node_limit, int32_t first) {
  problem.validate();
  Conflict conflict;
  const BundleProblem bare = without_terms(problem);
  const auto decide = [&](const BundleProblem& p) {
    return solve_exact(p, {.node_limit = node_limit, .any_feasible = true});
  };
  const BundleAnswer whole = decide(bare);
  if (whole.feasible || !whole.proven) return conflict;
  BundleProblem rest(bare);
  conflict.irreducible = true;
  std::vector<Constraint> kept;
  for (Constraint& constraint : Constraints(problem, first).take()) {
    check_interrupt("the search for what clashes");
    BundleProblem fewer(rest);
    constraint.drop(fewer);
    const BundleAnswer answer = decide(fewer);
    if (answer.proven && !answer.feasible) {
      rest = std::move(fewer);
      continue;
    }
    conflict.irreducible = conflict.irreducible && answer.feasible;
    kept.push_back(std::move(constraint));
  }
  for (const Constraint& constraint : kept) {
    check_interrupt("the search for what clashes");
    conflict.constraints.push_back(constraint.text);
    Relaxation relaxation;
    if (relax(bare, constraint, node_limit, relaxation)) conflict.relaxations.push_back(std::move(relaxation));
  }
  std::ranges::stable_sort(conflict.relaxations, {}, &Relaxation::size);
  return conflict;
}

}  // namespace sheaf
