#include "host/app/search_setup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/bundles/candidates.hpp"
#include "host/app/association.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::app {
namespace {

/// The factor of the joint terms of two substitutes where they are avoided: such a pair takes away a hundred times what
/// it would bring. Substitutes are seldom in one basket, so less would let in two that each go well with the rest. The
/// pair remains where nothing else fits, as in a shop with one kind of product.
constexpr float kAvoid = -100.0f;

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

SearchParams planned_params(const Session& session, const Campaign& plan) {
  SearchParams params = search_params(session.prepared, session.config());
  plan.apply(params, session.prepared, session.config());
  return params;
}

}  // namespace

SearchSetup::SearchSetup(const Session& of, const std::string& objective)
    : session(of),
      terms(ObjectiveTerms::parse(objective.empty() ? of.config().search.objective : objective)),
      plan(of),
      params(planned_params(of, plan)),
      joint(terms.is_joint() ? &of.joint() : nullptr),
      space(terms.affinity != 0 ? search_space(of, params) : SearchSpace(of.context(), of.catalog, params)) {
  const config::Config& config = session.config();
  refuse_unread_weights(terms, config.search);
  if (joint == nullptr) {
    wanted_ = session.scorer().mean_probability(session.context(),
                                                Queries::everyone(session.context(), session.prepared.n_users));
  } else {
    apply_objective(terms, *joint, session, plan, params);
    space.joint = std::make_unique<JointSpace>(
        session.context(), joint->chances, joint->dependence,
        joint->vectors.empty() ? MatrixView<const float>{} : session.item_vectors().matrix());
    wanted_ = joint->all;
    if (config.associate.category_rule != "any" || !config.associate.exclude_pairs.empty()) {
      space.rule = pair_rule(session.prepared, config);
    }
  }
  if (config.search.substitutes == "allow") return;
  const HostCsr& substitutes = session.substitutes();
  space.substitutes = DeviceCsr(session.context(), substitutes);
  if (config.search.substitutes == "forbid") {
    params.apart = substitutes;
  } else {
    params.substitute_factor = kAvoid;
  }
}

std::vector<float> SearchSetup::wanted_by(const std::vector<int32_t>& users) const {
  if (joint != nullptr) return joint->chance_of(users);
  return session.scorer().mean_probability(session.context(), Queries(session.context(), users));
}

std::vector<int32_t> SearchSetup::partners_of(const std::vector<int32_t>& anchors) const {
  if (joint == nullptr) return search_partners(session, params, anchors);
  const auto width = static_cast<size_t>(std::min(params.candidates, session.prepared.n_items) - 1);
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

ChanceTable::ChanceTable(const SearchSetup& setup) : session_(setup.session), joint_(setup.joint) {}

std::vector<double> ChanceTable::of_items(const std::vector<int32_t>& items) const {
  check_interrupt("the scoring of bundles");
  Context& context = session_.context();
  const Queries everyone = Queries::everyone(context, n_users());
  std::vector<int32_t> asked;
  for (int64_t u = 0; u < n_users(); ++u) asked.insert(asked.end(), items.begin(), items.end());
  if (joint_ == nullptr) return pair_probabilities(context, session_.scorer(), everyone, asked, std::ssize(items));
  const std::vector<float> scores = pair_scores(context, session_.scorer(), everyone, asked, std::ssize(items));
  std::vector<double> chances(scores.begin(), scores.end());
  const HostCsr& own = joint_->chances.own;
  for (int64_t u = 0; u < n_users(); ++u) {
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
