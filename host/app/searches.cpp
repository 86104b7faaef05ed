#include "host/app/searches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <span>
#include <utility>

#include "host/app/anchors.hpp"
#include "host/app/association.hpp"
#include "host/app/joint.hpp"
#include "host/app/search_setup.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {
namespace {

[[noreturn]] void throw_infeasible(const std::vector<Bundle>& bundles, const Session& session, SearchParams params) {
  if (const std::string why = no_pairs(session); !why.empty()) {
    throw NoBundle("no bundle can be made: " + why, kNoPairsMend);
  }
  const Bundle& nearest = *std::ranges::min_element(bundles, {}, &Bundle::violation);
  params.discount = nearest.discount;
  throw NoBundle("no bundle meets the constraints; of the nearest one: " +
                     explain_infeasible(nearest, session.catalog, params, session.prepared.currency),
                 "relax what is named, or raise search.candidates");
}

/// The search with the discount of each bundle chosen, where the plan says so.
SearchCall planned(SearchCall search, const Campaign& plan) {
  if (plan.levels.empty()) return search;
  return [search = std::move(search), &plan](const SearchParams& params) {
    return search_discounts(search, params, plan.levels);
  };
}

/// The run's bundles, chosen together.
ColumnGeneration search_together(const SearchCall& search, const SearchParams& params, const Session& session,
                                 const PackingConstraints& packing_constraints, const DemandCall& demand) {
  ColumnGeneration found = generate_columns(search, params, packing_constraints, session.prepared.n_items, demand);
  if (found.n_found == 0) throw_infeasible(search(params).bundles, session, params);
  if (found.bundles.empty()) {
    throw NoBundle("no bundle fits the stock of its items",
                   "raise the stock in search.item_facts, or ask for smaller bundles");
  }
  return found;
}

}  // namespace

CatalogSearch search_catalog(const Session& session) {
  const Range range("search");
  const auto start = std::chrono::steady_clock::now();
  Context& context = session.context();
  const config::Config& config = session.config();
  SearchSetup setup(session);
  const Campaign& plan = setup.plan;
  const std::vector<int32_t> anchors = choose_anchors(session.prepared, config, setup.wanted(), setup.params.forbidden);
  const std::vector<int32_t> rows = setup.partners_of(anchors);
  for (const std::vector<int32_t>& bundle : plan.known.any) {
    for (const int32_t item : bundle) {
      if (std::ranges::find(anchors, item) != anchors.end()) setup.params.known[item].push_back(bundle);
    }
  }
  const size_t n_partners = anchors.empty() ? 0 : rows.size() / anchors.size();
  const PartialSearchCall search = [&](const SearchParams& params, const std::vector<int64_t>& which) {
    std::vector<int32_t> some, partners;
    for (const int64_t p : which) {
      some.push_back(anchors[static_cast<size_t>(p)]);
      const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(p) * n_partners);
      partners.insert(partners.end(), begin, begin + static_cast<std::ptrdiff_t>(n_partners));
    }
    return planned(
        [&](const SearchParams& p) {
          return search_around_anchors(context, setup.space, p, some, partners, setup.wanted());
        },
        plan)(params);
  };

  CatalogSearch result;
  result.n_anchors = static_cast<int64_t>(anchors.size());
  const ChanceTable table(setup);
  if (setup.joint != nullptr) result.period_days = setup.joint->period_days;
  std::vector<Bundle> chosen;
  if (plan.shares_items(config)) {
    const PackingConstraints packing_constraints{.count = config.search.bundles,
                                                 .max_overlap = config.search.max_overlap,
                                                 .max_uses = config.search.max_uses,
                                                 .stock = plan.facts.stock};
    // A bundle is expected to sell to its audience.
    const DemandCall demand = [&](std::vector<Column>& columns, size_t first) {
      for (size_t c = first; c < columns.size() && !packing_constraints.stock.empty(); ++c) {
        const Bundle& bundle = columns[c].bundle;
        const double factor = plan.demand_factor(static_cast<double>(bundle.discount));
        const std::vector<double> chances = table.of_bundle(bundle, factor).buys;
        columns[c].demand = std::accumulate(chances.begin(), chances.end(), 0.0);
      }
    };
    std::vector<int64_t> everything(anchors.size());
    std::iota(everything.begin(), everything.end(), int64_t{0});
    ColumnGeneration found = search_together([&](const SearchParams& p) { return search(p, everything); }, setup.params,
                                             session, packing_constraints, demand);
    chosen = std::move(found.bundles);
    result.n_feasible = found.n_found;
    result.convergence = std::move(found.convergence);
    result.together = Together{found.value, found.bound, found.n_found, found.n_rounds};
  } else {
    ApartSelection found = search_apart(search, setup.params, anchors, session.prepared.n_items,
                                        config.search.max_overlap, config.search.bundles);
    result.n_feasible = std::ranges::count(found.first.bundles, 0.0f, &Bundle::violation);
    if (result.n_feasible == 0 && !found.first.bundles.empty()) {
      throw_infeasible(found.first.bundles, session, setup.params);
    }
    chosen = std::move(found.chosen);
    result.n_searches = found.n_searches;
    result.convergence = std::move(found.first.convergence);
  }
  if (std::ssize(chosen) < config.search.bundles) {
    result.fewer = fmt::format(
        "{} bundles instead of {}: around {} anchors no other meets the constraints and shares at most {} item{} with "
        "those "
        "chosen; raise search.anchors, search.candidates or search.max_overlap",
        chosen.size(), config.search.bundles, anchors.size(), config.search.max_overlap,
        config.search.max_overlap == 1 ? "" : "s");
  }
  const PairAssociation association(session);
  for (Bundle& bundle : chosen) {
    result.offers.push_back(make_offer(std::move(bundle), session.catalog, session.pair_counts(), association, config));
  }
  fill_audience(table, plan, result.offers);
  fill_increments(table, session, plan, result.offers);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

SearchResult search_users(const Session& session, const std::vector<int32_t>& users,
                          std::optional<Together>* together) {
  const Range range("search");
  Context& context = session.context();
  const config::Config& config = session.config();
  SearchSetup setup(session);
  const Campaign& plan = setup.plan;
  SearchParams& params = setup.params;
  params.known = plan.known.of_user;
  const SearchCall search = planned(
      [&](const SearchParams& p) { return search_for_users(context, session.scorer(), setup.space, p, users); }, plan);
  if (!plan.shares_items(config)) {
    SearchResult result = search(params);
    if (!result.bundles.empty() && std::ranges::count(result.bundles, 0.0f, &Bundle::violation) == 0) {
      throw_infeasible(result.bundles, session, params);
    }
    return result;
  }
  const PackingConstraints packing_constraints{
      .max_uses = config.search.max_uses, .stock = plan.facts.stock, .one_per_subject = true};
  ColumnGeneration found =
      search_together(search, params, session, packing_constraints, [](std::vector<Column>&, size_t) {});
  SearchResult result;
  result.convergence = std::move(found.convergence);
  if (together) *together = Together{found.value, found.bound, found.n_found, found.n_rounds};
  std::map<int64_t, Bundle> own;
  for (Bundle& bundle : found.bundles) own.emplace(bundle.subject, std::move(bundle));
  for (const int32_t user : users) {
    const auto at = own.find(user);
    result.bundles.push_back(at == own.end() ? Bundle{user, {}, {}, 0.0f, 1.0f, 0.0f} : at->second);
  }
  return result;
}

std::vector<Reason> reasons_of(const Session& session, const Bundle& bundle) {
  const HostCsr& bought = session.purchases.train_counts;
  const auto first = static_cast<size_t>(bought.row_offsets[static_cast<size_t>(bundle.subject)]);
  const std::span<const int32_t> own = bought.row(bundle.subject);
  std::vector<Reason> reasons;
  for (const int32_t item : bundle.items) {
    Reason reason;
    const auto at = std::ranges::lower_bound(own, item);
    if (at != own.end() && *at == item) {
      reason.bought = std::llround(bought.values[first + static_cast<size_t>(at - own.begin())]);
    }
    for (const int32_t other : bundle.items) {
      const double lift = other == item ? 0.0 : session.pair_counts().measure(association::Measure::lift, item, other);
      if (lift <= std::max(1.0, reason.lift)) continue;
      reason.lift = lift;
      reason.partner = other;
    }
    reasons.push_back(reason);
  }
  return reasons;
}

std::vector<int32_t> most_wanted(const Session& session, int64_t count) {
  const std::vector<float> wanted = session.scorer().mean_probability(
      session.context(), Queries::everyone(session.context(), session.prepared.n_users));
  std::vector<int32_t> items = all_ids(std::ssize(wanted));
  std::ranges::stable_sort(items, std::ranges::greater{}, [&](int32_t i) { return wanted[static_cast<size_t>(i)]; });
  items.resize(std::min(items.size(), static_cast<size_t>(count)));
  return items;
}

}  // namespace sheaf::app
