#include "host/app/bundle_quality.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <utility>

#include "engine/evaluate/bundle_baselines.hpp"
#include "host/app/anchors.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {
namespace {

constexpr double kDecays[] = {90, 30, 60, 180, 365};
constexpr int64_t kPools[] = {100, 50, 200, 400};
constexpr int64_t kMaxItemsets = 200'000;
constexpr double kUsualDecay = 90;
constexpr int64_t kListed = 64;  // items of the model's list, from which its best bundle is filled

/// Itemsets among the most popular items, in as few baskets as the limit on their number allows.
struct Mined {
  int64_t pool = 0, support = 0;
  std::vector<Itemset> sets;

  std::vector<Itemset> above(int64_t min_support) const {
    std::vector<Itemset> kept;
    std::ranges::copy_if(sets, std::back_inserter(kept), [&](const Itemset& s) { return s.support >= min_support; });
    return kept;
  }
};

/// What baselines are made from and judged on.
struct Periods {
  BasketHistory train, validation, history;
  HostCsr train_counts, bought;  // [n_users, n_items] baskets with the item, in train and in the history
  std::vector<Mined> train_sets, joined_sets;
  bool through_validation = false;
  /// Of the history.
  const std::vector<Mined>& sets() const { return through_validation ? joined_sets : train_sets; }
  BasketHistory after;  // all baskets after the history
};

BasketHistory period(const HostCsr& items, const std::vector<int32_t>& user, const std::vector<int64_t>& time,
                     int64_t n_users) {
  return {items, user, time, n_users};
}

Periods periods_of(const Session& session, bool through_validation) {
  const Purchases& p = session.purchases;
  const int64_t n = session.prepared.n_users;
  Periods periods;
  periods.train = period(p.train_baskets, p.train_basket_user, p.train_basket_time, n);
  periods.validation = period(p.validation_baskets, p.validation_basket_user, p.validation_basket_time, n);
  const BasketHistory test = period(p.test_baskets, p.test_basket_user, p.test_basket_time, n);
  periods.through_validation = through_validation;
  periods.history = through_validation ? joined(periods.train, periods.validation) : periods.train;
  periods.after = through_validation ? test : joined(periods.validation, test);
  constexpr double kNever = std::numeric_limits<double>::infinity();
  periods.train_counts = decayed_counts(periods.train, kNever);
  periods.bought = decayed_counts(periods.history, kNever);
  return periods;
}

/// The first of `choices` whose bundles meet most of the validation baskets.
template <class Choice>
Choice best_choice(const std::vector<Choice>& choices, const BasketHistory& validation,
                   const std::function<NamedBundles(const Choice&)>& make) {
  size_t best = 0;
  double most = -1;
  for (size_t c = 0; c < choices.size() && validation.items.n_rows() > 0; ++c) {
    const double share = share_with_two(make(choices[c]), validation.view());
    if (!(share > most)) continue;
    most = share;
    best = c;
  }
  return choices[best];
}

std::vector<uint8_t> most_popular(const HostCsr& baskets, const BundleRules& rules, int64_t count) {
  std::vector<std::pair<int64_t, int32_t>> order;
  for (int32_t item = 0; item < baskets.n_columns; ++item) order.emplace_back(0, item);
  for (const int32_t item : baskets.columns) --order[static_cast<size_t>(item)].first;
  std::erase_if(order, [&](const auto& entry) { return rules.is_forbidden(entry.second); });
  std::ranges::sort(order);
  std::vector<uint8_t> allowed(static_cast<size_t>(baskets.n_columns), 0);
  for (size_t r = 0; r < std::min(order.size(), static_cast<size_t>(count)); ++r) {
    allowed[static_cast<size_t>(order[r].second)] = 1;
  }
  for (const int32_t item : rules.params().must_have) allowed[static_cast<size_t>(item)] = 1;
  for (int32_t item = 0; item < baskets.n_columns && rules.has_one_of(); ++item) {
    if (rules.is_one_of(item) && !rules.is_forbidden(item)) allowed[static_cast<size_t>(item)] = 1;
  }
  return allowed;
}

/// The baskets that hold one of the items of which a bundle needs one.
HostCsr baskets_with_one_of(const HostCsr& baskets, const BundleRules& rules) {
  HostCsr kept;
  kept.n_columns = baskets.n_columns;
  for (int64_t b = 0; b < baskets.n_rows(); ++b) {
    const auto row = baskets.row(b);
    if (std::ranges::none_of(row, [&](int32_t item) { return rules.is_one_of(item); })) continue;
    kept.columns.insert(kept.columns.end(), row.begin(), row.end());
    kept.row_offsets.push_back(kept.nnz());
  }
  return kept;
}

/// One a size of the pool.
std::vector<Mined> mine(const HostCsr& all_baskets, const BundleRules& rules) {
  std::vector<Mined> all;
  const HostCsr baskets = rules.has_one_of() ? baskets_with_one_of(all_baskets, rules) : all_baskets;
  for (const int64_t pool : kPools) {
    Mined mined{pool, 1, {}};
    mined.sets = most_frequent_itemsets(baskets,
                                        {.min_support = 1,
                                         .min_size = std::max<int64_t>(2, rules.params().min_size),
                                         .max_size = std::max<int64_t>(2, rules.params().max_size),
                                         .max_itemsets = kMaxItemsets,
                                         .allowed = most_popular(all_baskets, rules, pool)},
                                        &mined.support);
    all.push_back(std::move(mined));
  }
  return all;
}

const Mined& of_pool(const std::vector<Mined>& all, int64_t pool) {
  return *std::ranges::find(all, pool, &Mined::pool);
}

struct ItemsetChoice {
  int64_t pool, times;  // the smallest support that could be mined, times this
};

std::vector<BundleRow> user_rows(const Session& session, const BundleRules& rules, const Periods& periods,
                                 BundleWorld world, const std::vector<Bundle>& ours, const config::Config& config,
                                 BaselineSettings& settings) {
  NamedBundles own{"sheaf", {}, {}};
  for (const Bundle& bundle : ours) {
    if (bundle.violation != 0.0f) continue;
    own.items.push_back(bundle.items);
    own.user.push_back(static_cast<int32_t>(bundle.subject));
  }
  const std::vector<int32_t>& users = own.user;
  const auto decayed = [&](const BasketHistory& history, double days) {
    return most_frequent_bundles("", decayed_counts(history, days), rules, users);
  };
  settings.decay_days = config.evaluate.decay_days;
  if (settings.decay_days == 0) {
    settings.decay_days = best_choice<double>({std::begin(kDecays), std::end(kDecays)}, periods.validation,
                                              [&](const double& days) { return decayed(periods.train, days); });
  }
  const auto itemsets = [&](const std::vector<Mined>& mined, const HostCsr& counts, int64_t pool) {
    return itemset_bundles("frequent itemsets", of_pool(mined, pool).sets, counts, rules, users);
  };
  settings.users_pool = best_choice<int64_t>(
      {std::begin(kPools), std::end(kPools)}, periods.validation,
      [&](const int64_t& pool) { return itemsets(periods.train_sets, periods.train_counts, pool); });

  const int64_t length = std::min(kListed, session.prepared.n_items);
  const std::vector<int32_t> listed =
      session.scorer()
          .top_k(session.context(), Queries::everyone(session.context(), session.prepared.n_users), length,
                 {.everywhere = rules.params().forbidden})
          .items.to_host();

  std::vector<NamedBundles> lists;
  lists.push_back(own);
  lists.push_back(most_frequent_bundles("own most frequent", periods.bought, rules, users));
  lists.push_back(decayed(periods.history, settings.decay_days));
  lists.back().name = fmt::format("own decayed, {:g} days", settings.decay_days);
  lists.push_back(listed_bundles("model's best", listed, length, rules, users));
  lists.push_back(covering_bundles("own covering set", periods.history, rules, users, rules.params().max_size));
  if (rules.params().min_size <= 2 && rules.params().min_categories <= 2 && rules.params().max_size > 2) {
    lists.push_back(covering_bundles("own covering pair", periods.history, rules, users, 2));
  }
  lists.push_back(itemsets(periods.sets(), periods.bought, settings.users_pool));
  lists.push_back(global_bundle("global set", periods.history, rules, users));
  return measure_bundles(lists, world,
                         {.resamples = config.evaluate.resamples, .seed = static_cast<uint64_t>(config.run.seed)});
}

std::vector<BundleRow> catalog_rows(Context& context, const BundleRules& rules, const Periods& periods,
                                    BundleWorld world, const std::vector<Offer>& ours, const config::Config& config,
                                    BaselineSettings& settings) {
  NamedBundles own{"sheaf", {}, {}};
  for (const Offer& offer : ours) own.items.push_back(offer.bundle.items);
  // As many bundles as ours: fewer where no more fit.
  const int64_t overlap = config.search.max_overlap, count = std::ssize(own.items);
  const PairCounts train_pairs = count_pairs(context, periods.train.items, 1);
  const PairCounts pairs = count_pairs(context, periods.history.items, 1);
  std::vector<ItemsetChoice> choices;
  for (const int64_t pool : kPools) {
    for (const int64_t times : {1, 2, 4}) choices.push_back({pool, times});
  }
  std::vector<NamedBundles> lists{own};
  constexpr std::pair<const char*, ItemsetScore> kScores[] = {
      {"itemsets by support", ItemsetScore::support},
      {"itemsets by leverage", ItemsetScore::leverage},
      {"itemsets by support x price", ItemsetScore::support_price}};
  for (const auto& named : kScores) {
    const char* const name = named.first;
    const ItemsetScore score = named.second;
    const auto make = [&](const std::vector<Mined>& all, const PairCounts& counts, const ItemsetChoice& choice) {
      const Mined& of = of_pool(all, choice.pool);
      return itemset_catalog(name, of.above(of.support * choice.times), counts, score, rules, overlap, count);
    };
    const ItemsetChoice choice = best_choice<ItemsetChoice>(
        choices, periods.validation, [&](const ItemsetChoice& c) { return make(periods.train_sets, train_pairs, c); });
    lists.push_back(make(periods.sets(), pairs, choice));
    settings.itemsets +=
        fmt::format("{}{}: support at least {}, {} most popular items", settings.itemsets.empty() ? "" : "; ", name,
                    of_pool(periods.sets(), choice.pool).support * choice.times, choice.pool);
  }
  settings.catalog_pool = best_choice<int64_t>(
      {std::begin(kPools), std::end(kPools)}, periods.validation,
      [&](const int64_t& pool) { return covering_catalog("", periods.train, rules, overlap, count, pool); });
  lists.push_back(covering_catalog("covering sets", periods.history, rules, overlap, count, settings.catalog_pool));
  world.held_out = periods.after.view();
  return measure_bundles(lists, world,
                         {.resamples = config.evaluate.resamples, .seed = static_cast<uint64_t>(config.run.seed)});
}

nlohmann::json to_json(const Estimate& estimate) { return {{"value", estimate.value}, {"error", estimate.error}}; }

nlohmann::json to_json(const std::vector<BundleRow>& rows) {
  nlohmann::json out = nlohmann::json::array();
  for (const BundleRow& row : rows) {
    nlohmann::json line{{"name", row.name},
                        {"bundles", row.n_bundles},
                        {"baskets", row.n_baskets},
                        {"mean_size", row.mean_size},
                        {"mean_price", row.mean_price}};
    for (size_t c = 0; c < kBundleColumns; ++c) {
      line[to_string(static_cast<BundleColumn>(c))] = to_json(row.columns[c]);
      if (&row != &rows.front())
        line["ours_less_this"][to_string(static_cast<BundleColumn>(c))] = to_json(row.difference[c]);
    }
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace

FoundBundles find_bundles(const Session& session) {
  FoundBundles found;
  try {
    found.users = search_users(session, all_ids(session.prepared.n_users)).bundles;
  } catch (const NoBundle& error) {
    found.users_missing = error.what();
  }
  try {
    found.catalog = search_catalog(session).offers;
  } catch (const NoBundle& error) {
    found.catalog_missing = error.what();
  }
  return found;
}

BundleQuality measure_bundle_quality(const Session& session, const FoundBundles& found) {
  Context& context = session.context();
  const config::Config& config = session.config();
  const Range range("evaluate bundles");
  BundleQuality quality;
  quality.users_missing = found.users_missing;
  quality.catalog_missing = found.catalog_missing;
  quality.through_validation = config.search.history == "all";
  Periods periods = periods_of(session, quality.through_validation);
  const SearchParams params = search_params(session.prepared, config);
  const BundleRules rules(session.catalog, params);
  const BundleWorld world{.catalog = &session.catalog,
                          .history = &periods.bought,
                          .before = periods.history.view(),
                          .held_out = {&session.purchases.test_baskets, &session.purchases.test_basket_user},
                          .after = periods.after.view(),
                          .substitutes = &session.substitutes()};
  if (found.users.empty() && found.catalog.empty()) return quality;
  periods.train_sets = mine(periods.train.items, rules);
  if (quality.through_validation) periods.joined_sets = mine(periods.history.items, rules);
  quality.catalog_baskets = periods.after.items.n_rows();
  if (!found.users.empty()) {
    quality.users = user_rows(session, rules, periods, world, found.users, config, quality.settings);
  }
  if (found.catalog.empty()) return quality;
  std::vector<int32_t> anchors;
  if (config.search.anchor_by != "wanted") {
    anchors =
        choose_anchors(session.prepared, config,
                       session.scorer().mean_probability(context, Queries::everyone(context, session.prepared.n_users)),
                       params.forbidden);
  }
  const BundleRules catalog_rules(session.catalog, params, anchors);
  if (!anchors.empty()) {
    periods.train_sets = mine(periods.train.items, catalog_rules);
    if (quality.through_validation) periods.joined_sets = mine(periods.history.items, catalog_rules);
  }
  quality.catalog = catalog_rows(context, catalog_rules, periods, world, found.catalog, config, quality.settings);
  return quality;
}

nlohmann::json to_json(const BundleQuality& quality) {
  return {{"history", quality.through_validation ? "validation" : "train"},
          {"decay_days", quality.settings.decay_days},
          {"users_itemset_pool", quality.settings.users_pool},
          {"catalog_itemsets", quality.settings.itemsets},
          {"catalog_covering_pool", quality.settings.catalog_pool},
          {"users", to_json(quality.users)},
          {"users_missing", quality.users_missing},
          {"catalog", to_json(quality.catalog)},
          {"catalog_missing", quality.catalog_missing}};
}

}  // namespace sheaf::app
