#include "host/app/search_setup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/bundles/candidates.hpp"
#include "host/app/pipeline.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::app {
namespace {

/// Of the joint terms of two substitutes where they are avoided: such a pair takes away four times what it would bring, so that one is left only
/// where nothing else fits.
constexpr float kAvoid = -4.0f;

/// Weights of the affinity, where the objective has no such term.
void refuse_unread_weights(const ObjectiveTerms& terms, const config::Config::Search& search) {
  if (terms.affinity != 0) return;
  const config::Config::Search usual;
  const auto refuse = [&](const char* name, double value, double default_value) {
    if (value == default_value) return;
    throw UsageError(fmt::format("search.{} = {} is a weight of the objective affinity, and search.objective is {}",
                                 name, value, search.objective),
                     "take search.objective = affinity or add it to the sum, or leave the weight out");
  };
  refuse("weight_association", search.weight_association, usual.weight_association);
  refuse("weight_preference", search.weight_preference, usual.weight_preference);
  refuse("weight_revenue", search.weight_revenue, usual.weight_revenue);
}

SearchParams planned_params(const Dataset& dataset, const Campaign& plan, const config::Config& config) {
  SearchParams params = search_params(dataset.prepared, config);
  plan.apply(params, dataset.prepared, config);
  return params;
}

}  // namespace

SearchSetup::SearchSetup(Context& run_context, const Dataset& data, const PreferenceModel& preference,
                         const PairCounts& pair_counts, const config::Config& settings)
    : context(run_context),
      dataset(data),
      model(preference),
      counts(pair_counts),
      config(settings),
      terms(ObjectiveTerms::parse(settings.search.objective)),
      plan(data, settings, run_context),
      params(planned_params(data, plan, settings)),
      joint(terms.is_joint() ? &data.joint(run_context, preference, settings) : nullptr),
      scorer(preference.scorer(run_context)),
      space(terms.affinity != 0 ? search_space(run_context, data, preference, pair_counts, params, settings)
                                : SearchSpace(run_context, data.catalog, params)) {
  refuse_unread_weights(terms, config.search);
  if (joint == nullptr) {
    wanted_ = mean_probability(context, scorer);
  } else {
    apply_objective(terms, *joint, dataset, plan, config, params);
    space.joint = std::make_unique<JointSpace>(context, joint->chances, joint->dependence, joint->vectors, joint->dim);
    wanted_ = joint->all;
    if (config.associate.category_rule != "any" || !config.associate.exclude_pairs.empty()) {
      space.rule = pair_rule(dataset.prepared, config);
    }
  }
  if (config.search.substitutes == "allow") return;
  const HostCsr& substitutes = dataset.substitutes();
  space.substitutes = DeviceCsr(context, substitutes);
  if (config.search.substitutes == "forbid") {
    params.apart = substitutes;
  } else {
    params.substitute_factor = kAvoid;
  }
}

std::vector<float> SearchSetup::wanted_by(const std::vector<int32_t>& users) const {
  return joint != nullptr ? joint->chance_of(users) : mean_probability(context, scorer, users);
}

std::vector<int32_t> SearchSetup::partners_of(const std::vector<int32_t>& anchors) const {
  if (joint == nullptr) return search_partners(context, dataset, model, counts, params, config, anchors);
  const auto width = static_cast<size_t>(std::min(params.candidates, dataset.prepared.n_items) - 1);
  std::vector<uint8_t> forbidden(wanted_.size(), 0);
  for (const int32_t item : params.forbidden) forbidden[static_cast<size_t>(item)] = 1;
  std::vector<int32_t> rows;
  std::vector<std::pair<float, int32_t>> ranked;
  for (const int32_t anchor : anchors) {
    ranked.clear();
    for (const int32_t item : joint->dependence.counts.row(anchor)) {
      if (forbidden[static_cast<size_t>(item)] != 0 || !space.may_be_together(params, anchor, item)) continue;
      const double cosine = cosine_of(joint->vectors, joint->dim, anchor, item);
      const double both =
          static_cast<double>(wanted_[static_cast<size_t>(item)]) * joint->dependence.ratio(anchor, item, cosine);
      ranked.emplace_back(-static_cast<float>(both), item);
    }
    std::ranges::sort(ranked);
    for (size_t r = 0; r < width; ++r) rows.push_back(r < ranked.size() ? ranked[r].second : -1);
  }
  return rows;
}

ChanceTable::ChanceTable(Context& context, const SearchSetup& setup)
    : context_(context),
      joint_(setup.joint),
      scorer_(setup.joint != nullptr ? LinearScorer{} : probability_scorer(context, setup.scorer)),
      used_(setup.joint != nullptr ? setup.scorer : scorer_) {}

std::vector<double> ChanceTable::of_items(const std::vector<int32_t>& items) const {
  check_interrupt("the scoring of bundles");
  const int64_t n_users = used_.n_users;
  std::vector<int32_t> asked;
  for (int64_t u = 0; u < n_users; ++u) asked.insert(asked.end(), items.begin(), items.end());
  const std::vector<float> logits = pair_logits(context_, used_, all_ids(n_users), asked, std::ssize(items));
  std::vector<double> chances(logits.begin(), logits.end());
  if (joint_ == nullptr) {
    for (double& x : chances) x = 1.0 / (1.0 + std::exp(-x));
    return chances;
  }
  const HostCsr& own = joint_->chances.own;
  for (int64_t u = 0; u < n_users; ++u) {
    const auto row = own.row(u);
    const auto first = static_cast<size_t>(own.row_offsets[static_cast<size_t>(u)]);
    for (size_t m = 0; m < items.size(); ++m) {
      double& chance = chances[static_cast<size_t>(u) * items.size() + m];
      const auto at = std::ranges::lower_bound(row, items[m]);
      chance = at != row.end() && *at == items[m]
                   ? static_cast<double>(own.values[first + static_cast<size_t>(at - row.begin())])
                   : joint_->chances.new_item.of(chance);
    }
  }
  return chances;
}

UserChances ChanceTable::of_bundle(const Bundle& bundle, double factor) const {
  const std::vector<double> chances = of_items(bundle.items);
  UserChances users;
  const size_t size = bundle.items.size();
  for (size_t u = 0; u < static_cast<size_t>(n_users()); ++u) {
    std::vector<double> own;
    for (size_t m = 0; m < size; ++m) own.push_back(std::min(1.0, factor * chances[u * size + m]));
    if (joint_ == nullptr) {
      users.buys.push_back(at_least_two(own));
      continue;
    }
    const double baskets = static_cast<double>(joint_->chances.expected_baskets[u]);
    const double chance = joint_->at_least_two(bundle.items, own);
    users.baskets.push_back(baskets * chance);
    users.buys.push_back(chance < 1.0 ? -std::expm1(baskets * std::log1p(-chance)) : 1.0);
  }
  return users;
}

std::vector<double> ChanceTable::in_period(const std::vector<int32_t>& items) const {
  std::vector<double> chances = of_items(items);
  if (joint_ == nullptr) return chances;
  for (size_t at = 0; at < chances.size(); ++at) {
    const double baskets = static_cast<double>(joint_->chances.expected_baskets[at / items.size()]);
    chances[at] = chances[at] < 1.0 ? -std::expm1(baskets * std::log1p(-chances[at])) : 1.0;
  }
  return chances;
}

}  // namespace sheaf::app
