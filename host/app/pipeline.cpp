#include "host/app/pipeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "engine/evaluate/baselines.hpp"
#include "engine/evaluate/calibration.hpp"
#include "host/app/anchors.hpp"
#include "host/app/campaign.hpp"
#include "host/app/search_setup.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"
#include "kernels/metrics/binary.hpp"

namespace sheaf::app {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr int64_t kUsersNamed = 3;  // of an offer's audience
constexpr double kBins = 20;

TrainParams train_params(const config::Config& config) {
  const auto& m = config.model;
  TrainParams params;
  const bool transformer = m.preference == "transformer";
  params.loss = m.loss == "softmax"           ? LossKind::softmax
                : m.loss == "sampled_softmax" ? LossKind::sampled_softmax
                : m.loss == "bpr"             ? LossKind::bpr
                                              : LossKind::bce;
  const double usual = transformer ? 0.001 : params.loss == LossKind::softmax ? 0.02 : 0.003;
  params.epochs = m.epochs;
  params.learning_rate = static_cast<float>(m.learning_rate > 0 ? m.learning_rate : usual);
  params.weight_decay = static_cast<float>(m.weight_decay);
  params.validate_every = m.validate_every > 0 ? m.validate_every : transformer ? 1 : 5;
  params.patience = m.patience;
  params.mask_seen = config.evaluate.mask_seen;
  params.seed = static_cast<uint64_t>(config.run.seed);
  params.batch = m.batch;
  params.negatives = m.negatives;
  params.dropout = static_cast<float>(transformer ? config.transformer.dropout : m.dropout);
  params.positive_weight = static_cast<float>(m.positive_weight);
  params.weight_power = static_cast<float>(m.weight_power);
  params.popularity_negatives = m.negative_sampling == "popularity";
  params.sequences = config.transformer.batch;
  params.horizon = config.transformer.horizon;
  params.shared_negatives = config.transformer.negatives;
  return params;
}

template <class F>
void for_each_pair(const std::vector<int32_t>& items, F&& f) {
  for (size_t a = 0; a < items.size(); ++a) {
    for (size_t b = a + 1; b < items.size(); ++b) f(items[a], items[b]);
  }
}

/// A(i, j) as the search saw it.
class PairAssociation {
 public:
  PairAssociation(const PreferenceModel& model, Context& context, const Dataset& dataset, const PairCounts& counts,
                  const config::Config& config)
      : counts_(counts), dim_(model.dim()), by_(config.associate.by), rule_(pair_rule(dataset.prepared, config)) {
    if (is_learned(config)) {
      vectors_ = association_vectors(context, dataset, model, config).to_host();
      scale_ = config.associate.scale == "dim" ? 1.0 / static_cast<double>(dim_) : 1.0;
    }
  }
  double operator()(int32_t i, int32_t j) const {
    if (vectors_.empty()) {
      const auto measure = parse_measure(by_);
      const double there = rule_.allows(i, j) ? counts_.measure(measure, i, j) : 0.0;
      return std::max(there, rule_.allows(j, i) ? counts_.measure(measure, j, i) : 0.0);
    }
    if (!rule_.allows(i, j) && !rule_.allows(j, i)) return 0.0;
    double ij = 0, ii = 0, jj = 0;
    for (int64_t c = 0; c < dim_; ++c) {
      const double a = at(i, c), b = at(j, c);
      ij += a * b;
      ii += a * a;
      jj += b * b;
    }
    return ii > 0 && jj > 0 ? scale_ * std::max(0.0, ij / std::sqrt(ii * jj)) : 0.0;
  }

 private:
  double at(int32_t i, int64_t c) const {
    return static_cast<double>(vectors_[static_cast<size_t>(static_cast<int64_t>(i) * dim_ + c)]);
  }
  const PairCounts& counts_;
  int64_t dim_;
  std::string by_;
  PairRule rule_;
  double scale_ = 1.0;
  std::vector<float> vectors_;
};

/// Fills what depends on the users: audience and expected value.
void fill_audience(const ChanceTable& table, const Campaign& plan, std::vector<Offer>& offers) {
  for (Offer& offer : offers) {
    const UserChances users = table.of_bundle(offer.bundle, plan.demand_factor(offer.discount));
    std::vector<std::pair<double, int32_t>> likely;
    offer.audience = 0.0;
    offer.expected_baskets = 0.0;
    for (size_t u = 0; u < users.buys.size(); ++u) {
      offer.audience += users.buys[u];
      offer.expected_baskets += users.baskets.empty() ? 0.0 : users.baskets[u];
      likely.emplace_back(-users.buys[u], static_cast<int32_t>(u));
    }
    if (users.baskets.empty()) offer.expected_baskets = std::numeric_limits<double>::quiet_NaN();
    offer.expected_value = (users.baskets.empty() ? offer.audience : offer.expected_baskets) * offer.offer_price;
    std::ranges::sort(likely);
    for (size_t r = 0; r < std::min<size_t>(kUsersNamed, likely.size()); ++r) offer.users.push_back(likely[r].second);
  }
}

Offer make_offer(Bundle bundle, const Catalog& catalog, const PairCounts& counts, const PairAssociation& association,
                 const config::Config& config) {
  Offer offer;
  double n_pairs = 0;
  for_each_pair(bundle.items, [&](int32_t i, int32_t j) {
    ++n_pairs;
    offer.cohesion += counts.measure(association::Measure::cosine, i, j);
    offer.lift += counts.measure(association::Measure::lift, i, j);
    offer.association += association(i, j);
  });
  if (n_pairs > 0) {
    offer.cohesion /= n_pairs;
    offer.lift /= n_pairs;
    offer.association /= n_pairs;
  }
  for (const int32_t item : bundle.items) offer.price += static_cast<double>(catalog.price[static_cast<size_t>(item)]);
  // Where the search did not choose it: what is bought together anyway needs no discount; what is not, earns one. Whole percents.
  const double discount = config.discount.min + (config.discount.max - config.discount.min) / std::max(1.0, offer.lift);
  offer.discount = std::clamp(std::round(discount * 100.0) / 100.0, config.discount.min, config.discount.max);
  if (config.discount.by == "search") offer.discount = std::round(static_cast<double>(bundle.discount) * 1e6) / 1e6;
  offer.offer_price = std::round(offer.price * (1.0 - offer.discount) * 100.0) / 100.0;
  offer.bundle = std::move(bundle);
  return offer;
}

Quality::Ranked rank_all(Context& context, const RankingEvaluator& evaluator, const TopLists& lists, std::string name,
                         const config::Config& config) {
  Quality::Ranked ranked{std::move(name), {}};
  for (const int64_t k : config.evaluate.k) ranked.at.push_back(evaluator.of_lists(context, lists, k));
  return ranked;
}

/// Accuracy and the like on as many drawn as bought items, P re-based to that even prior.
void measure_probabilities(Context& context, const Dataset& dataset, const LinearScorer& scorer,
                           const config::Config& config, Quality& quality) {
  const LabelledPairs pairs = draw_pairs(dataset.purchases.test, 1, static_cast<uint64_t>(config.run.seed));
  quality.n_pairs = static_cast<int64_t>(pairs.labels.size());
  quality.preference_histogram.assign(static_cast<size_t>(kBins), 0);
  quality.other_histogram.assign(static_cast<size_t>(kBins), 0);
  const double shift = pairs.negatives_per_positive > 0 ? std::log(pairs.negatives_per_positive) : 0.0;
  std::vector<float> probabilities = logits_of(context, probability_scorer(context, scorer), pairs);
  for (size_t i = 0; i < probabilities.size(); ++i) {
    const double z = static_cast<double>(probabilities[i]) + shift;
    const double p = 1.0 / (1.0 + std::exp(-z));
    probabilities[i] = static_cast<float>(p);
    const auto bin = static_cast<size_t>(std::clamp(p * kBins, 0.0, kBins - 1));
    ++(pairs.labels[i] ? quality.preference_histogram : quality.other_histogram)[bin];
  }
  const Buffer<float> p(context, probabilities);
  const Buffer<uint8_t> labels(context, pairs.labels);
  Buffer<double> out(context, metrics::kBinaryColumns);
  metrics::binary(context, {p.view(), labels.view(), out.view()});
  const std::vector<double> values = out.to_host();
  quality.accuracy = values[metrics::kAccuracy];
  quality.auc = values[metrics::kAuc];
  quality.log_loss = values[metrics::kLogLoss];
  quality.brier = values[metrics::kBrier];
}

/// Foreseen against found in the test period: P of the items at the head of users' lists, and the chance that a basket holds an item that the
/// user has bought before.
void measure_reliability(Context& context, const Dataset& dataset, const PreferenceModel& model,
                         const LinearScorer& scorer, const config::Config& config, Quality& quality) {
  const Purchases& purchases = dataset.purchases;
  if (purchases.test.nnz() == 0) return;
  const HeadPairs head = head_pairs(context, scorer, purchases.test);
  const Calibration& c = scorer.calibration;
  std::vector<double> p, hits(head.labels.begin(), head.labels.end()), trials(head.labels.size(), 1.0);
  for (const float logit : head.logits) {
    p.push_back(1.0 / (1.0 + std::exp(-(c.slope * static_cast<double>(logit) + c.offset))));
  }
  quality.purchase_reliability = reliability(p, hits, trials);
  if (!ObjectiveTerms::parse(config.search.objective).is_joint()) return;
  const HostCsr& own = dataset.joint(context, model, config).chances.own;
  std::vector<double> baskets(static_cast<size_t>(own.n_rows()), 0.0);
  hits.assign(own.columns.size(), 0.0);
  for (int64_t b = 0; b < purchases.test_baskets.n_rows(); ++b) {
    const int32_t user = purchases.test_basket_user[static_cast<size_t>(b)];
    baskets[static_cast<size_t>(user)] += 1.0;
    const auto row = own.row(user);
    for (const int32_t item : purchases.test_baskets.row(b)) {
      const auto at = std::ranges::lower_bound(row, item);
      if (at == row.end() || *at != item) continue;
      hits[static_cast<size_t>(own.row_offsets[static_cast<size_t>(user)] + (at - row.begin()))] += 1.0;
    }
  }
  trials.clear();
  for (int64_t u = 0; u < own.n_rows(); ++u) {
    trials.insert(trials.end(), own.row(u).size(), baskets[static_cast<size_t>(u)]);
  }
  quality.basket_reliability = reliability(std::vector<double>(own.values.begin(), own.values.end()), hits, trials);
}

nlohmann::json to_json(const std::vector<ReliabilityBin>& bins) {
  nlohmann::json table = nlohmann::json::array();
  for (const ReliabilityBin& bin : bins) {
    table.push_back(
        {{"low", bin.low}, {"high", bin.high}, {"n", bin.n}, {"foreseen", bin.foreseen}, {"found", bin.found}});
  }
  return table;
}

}  // namespace

Dataset::Dataset(data::Prepared prepared_set, const config::Config& config)
    : prepared(std::move(prepared_set)),
      catalog(make_catalog(prepared)),
      purchases(make_purchases(prepared, config.model.recency_days)) {}

const PriceResponses& Dataset::price_responses() const {
  if (!responses_) responses_ = estimate_responses(prepared);
  return *responses_;
}

const PairRelations& Dataset::relations() const {
  if (!relations_) relations_ = relate_pairs(prepared, purchases);
  return *relations_;
}

const HostCsr& Dataset::substitutes() const {
  if (!substitutes_) substitutes_ = all_substitutes(relations(), prepared);
  return *substitutes_;
}

const JointModel& Dataset::joint(Context& context, const PreferenceModel& model, const config::Config& config) const {
  if (!joint_ || joint_history_ != config.search.history) {
    joint_ = make_joint_model(context, *this, model, config);
    joint_history_ = config.search.history;
  }
  return *joint_;
}

/// Without a validation period: the epochs and the calibration of a model that did not see the newest tenth of the training baskets.
struct HeldBack {
  int64_t n_baskets = 0, epochs = 0;
  Calibration calibration;
};

HeldBack train_on_the_rest(Context& context, const Dataset& dataset, const config::Config& config) {
  constexpr int64_t kShare = 10, kFewest = 10;
  const std::vector<int64_t>& time = dataset.purchases.train_basket_time;
  HeldBack held{.n_baskets = std::ssize(time) / kShare, .epochs = 0, .calibration = {}};
  if (held.n_baskets < kFewest) return {};
  // Baskets are numbered by their first lines: of equal times the later ones. Lines of a basket stay together.
  const data::Prepared& all = dataset.prepared;
  std::vector<int64_t> first(static_cast<size_t>(all.n_baskets), std::numeric_limits<int64_t>::max());
  for (size_t i = 0; i < all.basket.size(); ++i) {
    int64_t& line = first[static_cast<size_t>(all.basket[i])];
    if (all.split[i] == data::kTrain) line = std::min(line, static_cast<int64_t>(i));
  }
  std::vector<int64_t> order;
  for (const int64_t line : first) {
    if (line != std::numeric_limits<int64_t>::max()) order.push_back(line);
  }
  std::ranges::sort(order);
  const int64_t from = order[order.size() - static_cast<size_t>(held.n_baskets)];
  data::Prepared rest = all;
  for (size_t i = 0; i < rest.basket.size(); ++i) {
    if (rest.split[i] == data::kTrain && first[static_cast<size_t>(rest.basket[i])] >= from) {
      rest.split[i] = data::kValidation;
    }
  }
  const TrainedModel without = train_model(context, Dataset(std::move(rest), config), config);
  held.epochs = without.report.best_epoch;
  held.calibration = without.model.calibration();
  return held;
}

TrainedModel train_model(Context& context, const Dataset& dataset, const config::Config& config,
                         const std::function<void(const EpochReport&)>& on_epoch) {
  const Range range("train");
  const auto start = Clock::now();
  TrainParams params = train_params(config);
  HeldBack held;
  if (dataset.purchases.validation.nnz() == 0) held = train_on_the_rest(context, dataset, config);
  if (held.epochs > 0) {
    params.epochs = held.epochs;
    params.patience = 0;
  }
  const auto& t = config.transformer;
  const TransformerShape shape{.layers = t.layers,
                               .heads = t.heads,
                               .max_length = t.max_length,
                               .feed_forward = t.feed_forward,
                               .user_rows = t.user_vectors ? dataset.prepared.n_users : 0};
  const Purchases& purchases = dataset.purchases;
  TrainedModel trained{
      PreferenceModel(context, parse_preference(config.model.preference), dataset.prepared.n_users, config.model.dim,
                      dataset.catalog, config.model.item_features, params.seed, shape, purchases.train_history),
      {},
      0};
  trained.report =
      train(context, trained.model, purchases.train, purchases.validation, params, on_epoch, purchases.train_history);
  trained.model.set_calibration(
      held.epochs > 0 ? held.calibration : calibrate(context, trained.model.scorer(context), purchases.validation));
  trained.held_back_baskets = held.epochs > 0 ? held.n_baskets : 0;
  trained.calibrated = held.epochs > 0 || purchases.validation.nnz() > 0;
  trained.seconds = seconds_since(start);
  return trained;
}

std::string fingerprint(const data::Prepared& prepared) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&](const void* bytes, size_t n) {
    for (size_t b = 0; b < n; ++b) hash = (hash ^ static_cast<const unsigned char*>(bytes)[b]) * 0x100000001b3u;
  };
  for (const data::StringTable* ids : {&prepared.user_ids, &prepared.item_ids}) {
    add(ids->bytes.data(), ids->bytes.size());
    add(ids->offsets.data(), ids->offsets.size() * sizeof(ids->offsets[0]));
  }
  return fmt::format("{:016x}", hash);
}

void check_fits(const PreferenceModel& model, const std::string& trained_on, const data::Prepared& prepared) {
  if (model.n_users() == prepared.n_users && model.n_items() == prepared.n_items) {
    if (trained_on == fingerprint(prepared)) return;
    throw UsageError("the model was trained on other users or items than those of the data",
                     "train the model on this data, or give the data that it was trained on");
  }
  throw UsageError(fmt::format("the model knows {} users and {} items, the data has {} and {}", model.n_users(),
                               model.n_items(), prepared.n_users, prepared.n_items),
                   "train the model on this data, or give the data that it was trained on");
}

static int64_t min_categories(const data::Prepared& prepared, const config::Config::Search& settings) {
  constexpr int64_t kUsual = 3;
  if (settings.min_categories > 0) return settings.min_categories;
  const std::set<int32_t> categories(prepared.item_category.begin(), prepared.item_category.end());
  const int64_t n_categories = settings.categories.empty() ? std::ssize(categories) : std::ssize(settings.categories);
  return std::min({kUsual, n_categories, settings.max_size});
}

/// Forbids the items of all other categories.
static void keep_categories(const data::Prepared& prepared, const std::vector<std::string>& names,
                            SearchParams& params) {
  std::set<int32_t> kept;
  for (const std::string& name : names) kept.insert(prepared.find_category(name));
  const auto is_kept = [&](int32_t item) { return kept.contains(prepared.item_category[static_cast<size_t>(item)]); };
  for (const int32_t item : params.must_have) {
    if (is_kept(item)) continue;
    throw DataError(fmt::format("item '{}' of search.must_have is of category '{}', which search.categories leaves out",
                                prepared.item_ids[item],
                                prepared.category_names[prepared.item_category[static_cast<size_t>(item)]]),
                    "add the category, or take the item out");
  }
  for (int32_t item = 0; item < prepared.n_items; ++item) {
    if (!is_kept(item)) params.forbidden.push_back(item);
  }
  std::ranges::sort(params.forbidden);
  params.forbidden.erase(std::ranges::unique(params.forbidden).begin(), params.forbidden.end());
}

SearchParams search_params(const data::Prepared& prepared, const config::Config& config) {
  const auto& s = config.search;
  SearchParams params;
  params.candidates = s.candidates;
  params.min_size = s.min_size;
  params.max_size = s.max_size;
  params.budget = static_cast<float>(s.budget);
  params.min_categories = min_categories(prepared, s);
  for (const std::string& id : s.must_have) params.must_have.push_back(prepared.find_item(id));
  for (const std::string& id : s.forbidden) params.forbidden.push_back(prepared.find_item(id));
  if (!s.categories.empty()) keep_categories(prepared, s.categories, params);
  params.weight_association = static_cast<float>(s.weight_association);
  params.weight_preference = static_cast<float>(s.weight_preference);
  params.weight_revenue = static_cast<float>(s.weight_revenue);
  params.search = {.chains = static_cast<int32_t>(s.chains),
                   .rounds = static_cast<int32_t>(s.rounds),
                   .iterations = static_cast<int32_t>(s.iterations),
                   .islands = static_cast<int32_t>(s.islands),
                   .migrate_every = static_cast<int32_t>(s.migrate_every),
                   .seed = static_cast<uint64_t>(config.run.seed)};
  return params;
}

[[noreturn]] static void throw_infeasible(const std::vector<Bundle>& bundles, const Dataset& dataset,
                                          SearchParams params) {
  const Bundle& nearest = *std::ranges::min_element(bundles, {}, &Bundle::violation);
  params.discount = nearest.discount;
  throw NoBundle("no bundle meets the constraints; of the nearest one: " +
                     explain_infeasible(nearest, dataset.catalog, params, dataset.prepared.currency),
                 "relax what is named, or raise search.candidates");
}

/// The search with the discount of each bundle chosen, where the plan says so.
static SearchCall planned(SearchCall search, const Campaign& plan) {
  if (plan.levels.empty()) return search;
  return [search = std::move(search), &plan](const SearchParams& params) {
    return search_discounts(search, params, plan.levels);
  };
}

/// The run's bundles, chosen together.
static ColumnGeneration search_together(const SearchCall& search, const SearchParams& params, const Dataset& dataset,
                                        const PackingConstraints& coupling, const DemandCall& demand) {
  ColumnGeneration found = generate_columns(search, params, coupling, dataset.prepared.n_items, demand);
  if (found.n_found == 0) throw_infeasible(search(params).bundles, dataset, params);
  if (found.bundles.empty()) {
    throw NoBundle("no bundle fits the stock of its items",
                   "raise the stock in search.item_facts, or ask for smaller bundles");
  }
  return found;
}

CatalogSearch search_catalog(Context& context, const Dataset& dataset, const PreferenceModel& model,
                             const PairCounts& counts, const config::Config& config) {
  const Range range("search");
  const auto start = Clock::now();
  SearchSetup setup(context, dataset, model, counts, config);
  const Campaign& plan = setup.plan;
  const std::vector<int32_t> anchors = choose_anchors(dataset.prepared, config, setup.wanted(), setup.params.forbidden);
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
  const ChanceTable table(context, setup);
  if (setup.joint != nullptr) result.period_days = setup.joint->period_days;
  std::vector<Bundle> chosen;
  if (plan.is_coupled(config)) {
    const PackingConstraints coupling{.count = config.search.bundles,
                                      .max_overlap = config.search.max_overlap,
                                      .max_uses = config.search.max_uses,
                                      .stock = plan.facts.stock};
    // A bundle is expected to sell to its audience.
    const DemandCall demand = [&](std::vector<Column>& columns, size_t first) {
      for (size_t c = first; c < columns.size() && !coupling.stock.empty(); ++c) {
        const Bundle& bundle = columns[c].bundle;
        const double factor = plan.demand_factor(static_cast<double>(bundle.discount));
        const std::vector<double> chances = table.of_bundle(bundle, factor).buys;
        columns[c].demand = std::accumulate(chances.begin(), chances.end(), 0.0);
      }
    };
    std::vector<int64_t> everything(anchors.size());
    std::iota(everything.begin(), everything.end(), int64_t{0});
    ColumnGeneration found = search_together([&](const SearchParams& p) { return search(p, everything); }, setup.params,
                                             dataset, coupling, demand);
    chosen = std::move(found.bundles);
    result.n_feasible = found.n_found;
    result.convergence = std::move(found.convergence);
    result.together = Together{found.value, found.bound, found.n_found, found.n_rounds};
  } else {
    ApartSelection found = search_apart(search, setup.params, anchors, dataset.prepared.n_items,
                                        config.search.max_overlap, config.search.bundles);
    result.n_feasible = std::ranges::count(found.first.bundles, 0.0f, &Bundle::violation);
    if (result.n_feasible == 0 && !found.first.bundles.empty()) {
      throw_infeasible(found.first.bundles, dataset, setup.params);
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
  const PairAssociation association(model, context, dataset, counts, config);
  for (Bundle& bundle : chosen) {
    result.offers.push_back(make_offer(std::move(bundle), dataset.catalog, counts, association, config));
  }
  fill_audience(table, plan, result.offers);
  fill_increments(table, dataset, plan, config, result.offers);
  result.seconds = seconds_since(start);
  return result;
}

std::vector<double> association_matrix(Context& context, const Dataset& dataset, const PreferenceModel& model,
                                       const PairCounts& counts, const config::Config& config,
                                       const std::vector<int32_t>& items) {
  const PairAssociation association(model, context, dataset, counts, config);
  std::vector<double> matrix;
  for (const int32_t i : items) {
    for (const int32_t j : items) matrix.push_back(association(i, j));
  }
  return matrix;
}

std::vector<int32_t> most_wanted(Context& context, const PreferenceModel& model, int64_t count) {
  const std::vector<float> wanted = mean_probability(context, model.scorer(context));
  std::vector<int32_t> items = all_ids(std::ssize(wanted));
  std::ranges::stable_sort(items, std::ranges::greater{}, [&](int32_t i) { return wanted[static_cast<size_t>(i)]; });
  items.resize(std::min(items.size(), static_cast<size_t>(count)));
  return items;
}

std::vector<int32_t> all_ids(int64_t n) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

SearchResult search_users(Context& context, const Dataset& dataset, const PreferenceModel& model,
                          const PairCounts& counts, const config::Config& config, const std::vector<int32_t>& users,
                          std::optional<Together>* together) {
  const Range range("search");
  SearchSetup setup(context, dataset, model, counts, config);
  const Campaign& plan = setup.plan;
  SearchParams& params = setup.params;
  params.known = plan.known.of_user;
  const SearchCall search = planned(
      [&](const SearchParams& p) { return search_for_users(context, setup.scorer, setup.space, p, users); }, plan);
  if (!plan.is_coupled(config)) {
    SearchResult result = search(params);
    if (!result.bundles.empty() && std::ranges::count(result.bundles, 0.0f, &Bundle::violation) == 0) {
      throw_infeasible(result.bundles, dataset, params);
    }
    return result;
  }
  const PackingConstraints coupling{
      .max_uses = config.search.max_uses, .stock = plan.facts.stock, .one_per_subject = true};
  ColumnGeneration found = search_together(search, params, dataset, coupling, [](std::vector<Column>&, size_t) {});
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

std::vector<Reason> reasons_of(const Dataset& dataset, const PairCounts& counts, const Bundle& bundle) {
  const HostCsr& bought = dataset.purchases.train_counts;
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
      const double lift = other == item ? 0.0 : counts.measure(association::Measure::lift, item, other);
      if (lift <= std::max(1.0, reason.lift)) continue;
      reason.lift = lift;
      reason.partner = other;
    }
    reasons.push_back(reason);
  }
  return reasons;
}

double at_least_two(const std::vector<double>& probabilities) {
  double none = 1, one = 0;  // of the items so far: P(none), P(exactly one)
  for (const double p : probabilities) {
    one = one * (1 - p) + none * p;
    none *= 1 - p;
  }
  return std::max(0.0, 1 - none - one);
}

Quality evaluate(Context& context, const Dataset& dataset, const PreferenceModel& model, const config::Config& config,
                 const std::vector<Bundle>& user_bundles) {
  const Range range("evaluate");
  Quality quality;
  const Purchases& purchases = dataset.purchases;
  const bool mask = config.evaluate.mask_seen;
  const RankingEvaluator evaluator(context, purchases.test, mask ? &purchases.train : nullptr);
  const int64_t length = std::min(*std::ranges::max_element(config.evaluate.k), dataset.prepared.n_items);
  const LinearScorer scorer = model.scorer(context);
  quality.calibration = scorer.calibration;
  measure_reliability(context, dataset, model, scorer, config, quality);
  quality.ranked.push_back(rank_all(context, evaluator, top_items(context, scorer, evaluator.exclude(), length),
                                    to_string(model.kind()), config));
  for (const std::string& baseline : config.evaluate.baselines) {
    check_interrupt("the evaluation");
    if (baseline == "personal-count" && mask) continue;  // it knows nothing but what was seen
    const TopLists lists =
        baseline == "popularity" ? popularity_lists(context, purchases.train_counts, evaluator.exclude(), length)
        : baseline == "item-knn"
            ? item_knn_lists(context, purchases.train, purchases.train_counts, config.evaluate.knn_neighbours,
                             config.evaluate.knn_shrink, evaluator.exclude(), length)
            : personal_count_lists(context, purchases.train, purchases.train_counts, length);
    quality.ranked.push_back(rank_all(context, evaluator, lists, baseline, config));
  }
  measure_probabilities(context, dataset, scorer, config, quality);
  quality.bundles = summarise_bundles(user_bundles, dataset.catalog);
  return quality;
}

nlohmann::json to_json(const Quality& quality) {
  // NaN (nothing to average) becomes null.
  nlohmann::json ranked = nlohmann::json::array();
  for (const auto& row : quality.ranked) {
    for (const RankingSummary& at : row.at) {
      ranked.push_back({{"name", row.name},
                        {"k", at.k},
                        {"users", at.n_users},
                        {"recall", at.recall},
                        {"precision", at.precision},
                        {"hit_rate", at.hit_rate},
                        {"mrr", at.mrr},
                        {"ndcg", at.ndcg},
                        {"map", at.map},
                        {"coverage", at.coverage},
                        {"gini", at.gini}});
    }
  }
  const BundleSummary& b = quality.bundles;
  return {{"ranking", ranked},
          {"balanced_sample",
           {{"pairs", quality.n_pairs},
            {"accuracy", quality.accuracy},
            {"auc", quality.auc},
            {"log_loss", quality.log_loss},
            {"brier", quality.brier}}},
          {"calibration",
           {{"slope", quality.calibration.slope},
            {"bias_slope", quality.calibration.bias_slope},
            {"offset", quality.calibration.offset}}},
          {"reliability",
           {{"purchases", to_json(quality.purchase_reliability)}, {"baskets", to_json(quality.basket_reliability)}}},
          {"user_bundles",
           {{"bundles", b.n_bundles},
            {"feasible", b.feasible},
            {"mean_value", b.mean_value},
            {"mean_size", b.mean_size},
            {"mean_price", b.mean_price},
            {"coverage", b.coverage},
            {"mean_overlap", b.mean_overlap}}}};
}

}  // namespace sheaf::app
