#include "host/app/one_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "engine/search/bound.hpp"
#include "engine/search/exact.hpp"
#include "host/app/run_plan.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {
namespace {

constexpr int64_t kNodes = 100000;  // of branch and bound, a problem

/// What all problems of a run are built from.
struct Built {
  Built(Context& run_context, const Dataset& dataset, const PreferenceModel& model, const PairCounts& counts,
        const config::Config& config)
      : context(run_context),
        data(dataset),
        plan(dataset, config, run_context),
        params(search_params(dataset.prepared, config)),
        scorer(model.scorer(run_context)),
        space(search_space(run_context, dataset, model, counts, params, config)),
        partners([&](const std::vector<int32_t>& anchors) {
          return search_partners(run_context, dataset, model, counts, params, config, anchors);
        }) {
    plan.apply(params, dataset.prepared, config);
  }

  std::vector<BuiltProblem> around(const std::vector<int32_t>& anchors, const std::vector<float>& probability) const {
    for (const int32_t anchor : anchors) {
      if (std::ranges::find(params.forbidden, anchor) == params.forbidden.end()) continue;
      throw UsageError(fmt::format("item '{}' is to be in the bundle and forbidden", data.prepared.item_ids[anchor]),
                       "take it out of search.forbidden, or ask for another item");
    }
    return problems_around_anchors(context, space, params, anchors, partners(anchors), probability);
  }

  BuiltProblem for_audience(const Audience& audience) const {
    const std::vector<int32_t>& users = audience.users;
    if (audience.anchor < 0 && users.size() == 1) {
      return std::move(problems_of_users(context, scorer, space, params, users).front());
    }
    const std::vector<float> wanted =
        users.empty() ? mean_probability(context, scorer) : mean_probability(context, scorer, users);
    if (audience.anchor < 0) return problem_of_audience(context, space, params, wanted);
    return std::move(around({audience.anchor}, wanted).front());
  }

  /// Bundles of the earlier result that are for the audience; their items become candidates of a single user's or an anchor's problem.
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

  Context& context;
  const Dataset& data;
  RunPlan plan;
  SearchParams params;
  LinearScorer scorer;
  SearchSpace space;
  std::function<std::vector<int32_t>(const std::vector<int32_t>& anchors)> partners;
};

void set_names(const data::Prepared& prepared, BuiltProblem& built) {
  for (const int32_t item : built.items) {
    built.problem.names.push_back(fmt::format("{} ({})", prepared.item_names[item], prepared.item_ids[item]));
  }
}

}  // namespace

OneProblem build_problem(Context& context, const Dataset& dataset, const PreferenceModel& model,
                         const PairCounts& counts, const config::Config& config, const Audience& audience) {
  const Range range("search");
  Built all(context, dataset, model, counts, config);
  const std::vector<std::vector<int32_t>> known = all.known_of(audience);
  OneProblem one{all.for_audience(audience), {}};
  set_names(dataset.prepared, one.built);
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

ParetoProblem build_front(Context& context, const Dataset& dataset, const PreferenceModel& model,
                          const PairCounts& counts, const config::Config& config, const Audience& audience) {
  const Range range("search");
  Built all(context, dataset, model, counts, config);
  all.params.weight_association = all.params.weight_preference = 1.0f;
  all.params.weight_revenue = 0.0f;
  BuiltProblem built = all.for_audience(audience);
  set_names(dataset.prepared, built);
  return shop_front(built, dataset.prepared.item_price, all.plan.facts.stock);
}

std::vector<double> bounds_of(Context& context, const Dataset& dataset, const PreferenceModel& model,
                              const PairCounts& counts, const config::Config& config,
                              const std::vector<Bundle>& bundles, bool around_anchors) {
  const Range range("bound");
  Built all(context, dataset, model, counts, config);
  std::vector<int32_t> subjects;
  for (const Bundle& bundle : bundles) subjects.push_back(static_cast<int32_t>(bundle.subject));
  const std::vector<float> wanted = around_anchors ? mean_probability(context, all.scorer) : std::vector<float>{};
  std::vector<double> bounds(bundles.size(), -std::numeric_limits<double>::infinity());
  const std::vector<float> levels = all.plan.levels.empty() ? std::vector<float>{0.0f} : all.plan.levels;
  for (const float level : levels) {
    all.params.discount = level;
    const std::vector<BuiltProblem> problems =
        around_anchors ? all.around(subjects, wanted)
                       : problems_of_users(context, all.scorer, all.space, all.params, subjects);
    for (size_t b = 0; b < bundles.size(); ++b) {
      check_interrupt("the bounds");
      const auto value = static_cast<double>(bundles[b].value);
      const bool feasible = bundles[b].violation == 0.0f;
      double bound =
          upper_bound(context, problems[b].problem, {.time_limit = 0.0, .value = value, .has_value = feasible}).bound;
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
