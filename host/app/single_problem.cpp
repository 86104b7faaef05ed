#include "host/app/single_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "engine/optimize/branch_and_bound.hpp"
#include "engine/optimize/lagrangian_bound.hpp"
#include "host/app/search_setup.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {
namespace {

constexpr int64_t kNodes = 100000;  // of branch and bound, a problem

/// What all problems of a run are built from.
struct Built : SearchSetup {
  using SearchSetup::SearchSetup;

  std::vector<ExportedProblem> around(const std::vector<int32_t>& anchors,
                                      const std::vector<float>& probability) const {
    for (const int32_t anchor : anchors) {
      if (std::ranges::find(params.forbidden, anchor) == params.forbidden.end()) continue;
      throw UsageError(fmt::format("item '{}' is to be in the bundle and forbidden", session.prepared.item_ids[anchor]),
                       "take it out of search.forbidden, or ask for another item");
    }
    return problems_around_anchors(session.context(), space, params, anchors, partners_of(anchors), probability);
  }

  ExportedProblem for_audience(const Audience& audience) {
    const std::vector<int32_t>& users = audience.users;
    if (audience.anchor < 0 && users.size() == 1) {
      return std::move(problems_of_users(session.context(), session.scorer(), space, params, users).front());
    }
    const std::vector<float> of_them = users.empty() ? wanted() : wanted_by(users);
    if (joint != nullptr && !users.empty()) {
      params.baskets = 0.0f;
      for (const int32_t user : users) params.baskets += joint->chances.expected_baskets[static_cast<size_t>(user)];
    }
    if (audience.anchor < 0) return problem_of_audience(session.context(), space, params, of_them);
    return std::move(around({audience.anchor}, of_them).front());
  }

  /// The problem of each bundle's anchor, without what the bundles before it hold and it may not share with them.
  std::vector<ExportedProblem> around_in_order(const std::vector<Bundle>& bundles, int64_t max_overlap) {
    std::vector<ExportedProblem> problems;
    std::vector<int32_t> first, second;
    for (int64_t row = 0; row < params.apart.n_rows(); ++row) {
      for (const int32_t column : params.apart.row(row)) {
        first.push_back(static_cast<int32_t>(row));
        second.push_back(column);
      }
    }
    const HostCsr before = params.apart;
    const auto keep_apart = [&](int32_t i, int32_t j) {
      first.insert(first.end(), {i, j});
      second.insert(second.end(), {j, i});
    };
    std::vector<int32_t> taken;
    for (const Bundle& bundle : bundles) {
      const auto anchor = static_cast<int32_t>(bundle.subject);
      const size_t n = first.size();
      for (const int32_t item : taken) {
        if (max_overlap == 0 && item != anchor) keep_apart(anchor, item);
      }
      if (!first.empty()) params.apart = csr_from_pairs(first, second, {}, space.n_items, space.n_items);
      problems.push_back(std::move(around({anchor}, wanted()).front()));
      first.resize(n);
      second.resize(n);
      for (size_t a = 0; a < bundle.items.size() && max_overlap == 1; ++a) {
        for (size_t b = 0; b < a; ++b) keep_apart(bundle.items[a], bundle.items[b]);
      }
      taken.insert(taken.end(), bundle.items.begin(), bundle.items.end());
    }
    params.apart = before;
    return problems;
  }

  /// Bundles of the earlier result that are for the audience. Their items become candidates of the problem of one user
  /// or one anchor.
  std::vector<std::vector<int32_t>> known_of(const Audience& audience) {
    std::vector<std::vector<int32_t>> known = plan.known.any;
    for (const int32_t user : audience.users) {
      const auto own = plan.known.of_user.find(user);
      if (own != plan.known.of_user.end()) known.insert(known.end(), own->second.begin(), own->second.end());
    }
    if (audience.anchor >= 0) {
      std::erase_if(known, [&](const auto& bundle) { return std::ranges::count(bundle, audience.anchor) == 0; });
      params.known[audience.anchor] = known;
    } else if (audience.users.size() == 1) {
      params.known[audience.users.front()] = known;
    }
    return known;
  }
};

void set_names(const data::Prepared& prepared, ExportedProblem& built) {
  for (const int32_t item : built.items) {
    built.problem.names.push_back(fmt::format("{} ({})", prepared.item_names[item], prepared.item_ids[item]));
  }
}

}  // namespace

SingleProblem build_problem(const Session& session, const Audience& audience) {
  const Range range("search");
  Built all(session);
  const std::vector<std::vector<int32_t>> known = all.known_of(audience);
  SingleProblem one{all.for_audience(audience), {}};
  set_names(session.prepared, one.built);
  double best = -std::numeric_limits<double>::infinity();
  for (const std::vector<int32_t>& bundle : known) {
    std::vector<int32_t> set;
    for (const int32_t item : bundle) {
      const auto at = std::ranges::find(one.built.items, item);
      if (at != one.built.items.end()) set.push_back(static_cast<int32_t>(at - one.built.items.begin()));
    }
    if (set.size() != bundle.size() || violation_of(one.built.problem, set) > 0.0) continue;
    const double value = value_of(one.built.problem, set);
    if (value <= best) continue;
    best = value;
    one.start = set;
    std::ranges::sort(one.start);
  }
  return one;
}

ParetoProblem build_front(const Session& session, const Audience& audience) {
  const Range range("search");
  // Objectives of their own: revenue, conversion by the affinity, diversity, stock.
  Built all(session, "affinity");
  all.params.weight_association = all.params.weight_preference = 1.0f;
  all.params.weight_revenue = 0.0f;
  ExportedProblem built = all.for_audience(audience);
  set_names(session.prepared, built);
  return shop_front(built, session.prepared.item_price, all.plan.facts.stock);
}

std::vector<double> bounds_of(const Session& session, const std::vector<Bundle>& bundles, bool around_anchors) {
  const Range range("bound");
  Built all(session);
  std::vector<int32_t> subjects;
  for (const Bundle& bundle : bundles) subjects.push_back(static_cast<int32_t>(bundle.subject));
  std::vector<double> bounds(bundles.size(), -std::numeric_limits<double>::infinity());
  const std::vector<float> levels = all.plan.levels.empty() ? std::vector<float>{0.0f} : all.plan.levels;
  for (const float level : levels) {
    all.params.discount = level;
    const std::vector<ExportedProblem> problems =
        around_anchors ? all.around_in_order(bundles, session.config().search.max_overlap)
                       : problems_of_users(session.context(), session.scorer(), all.space, all.params, subjects);
    for (size_t b = 0; b < bundles.size(); ++b) {
      check_interrupt("the bounds");
      const auto value = static_cast<double>(bundles[b].value);
      const bool feasible = bundles[b].violation == 0.0f;
      double bound = upper_bound(session.context(), problems[b].problem,
                                 {.time_limit = 0.0, .value = value, .has_value = feasible})
                         .bound;
      if (!feasible || bound > value) {
        const BundleAnswer best = solve_exact(problems[b].problem, {.node_limit = kNodes});
        if (best.proven) bound = best.feasible ? best.value : -std::numeric_limits<double>::infinity();
      }
      // The value is a float32 sum.
      bounds[b] = std::max({bounds[b], bound, feasible ? value : bound});
    }
  }
  return bounds;
}

}  // namespace sheaf::app
