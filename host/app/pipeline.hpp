#pragma once
/// The phases of the main job, each one call: what the subcommands do by themselves and `demo` does in a row.

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/associate/association.hpp"
#include "engine/bundles/bundle_search.hpp"
#include "engine/bundles/increment.hpp"
#include "engine/evaluate/bundle_eval.hpp"
#include "engine/evaluate/ranking_eval.hpp"
#include "engine/evaluate/reliability.hpp"
#include "engine/train/trainer.hpp"
#include "host/app/association.hpp"
#include "host/app/dataset.hpp"
#include "host/app/joint.hpp"
#include "host/app/price_response.hpp"
#include "host/app/substitutes.hpp"
#include "host/config/config.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::app {

/// A prepared set and what the engine needs of it.
struct Dataset {
  Dataset(data::Prepared prepared_set, const config::Config& config);

  data::Prepared prepared;
  Catalog catalog;
  Purchases purchases;

  /// Estimated when first asked for.
  const PriceResponses& price_responses() const;
  /// Substitutes and complements, made when first asked for.
  const PairRelations& relations() const;
  const HostCsr& substitutes() const;
  /// Chances of coming baskets by search.history, made when first asked for; made anew for another history.
  const JointModel& joint(Context& context, const PreferenceModel& model, const config::Config& config) const;

 private:
  mutable std::optional<PriceResponses> responses_;
  mutable std::optional<PairRelations> relations_;
  mutable std::optional<HostCsr> substitutes_;
  mutable std::optional<JointModel> joint_;
  mutable std::string joint_history_;
};

struct TrainedModel {
  PreferenceModel model;
  TrainReport report;
  double seconds = 0;
  /// Where there is no validation period: the newest baskets that a first model did not see; its epochs and calibration are taken for the one
  /// trained on all.
  int64_t held_back_baskets = 0;
  bool calibrated = false;  // else there is too little to hold back, and P is the plain sigmoid of the logit
};

/// Trains and calibrates. `on_epoch` sees every epoch as it ends.
TrainedModel train_model(Context& context, const Dataset& dataset, const config::Config& config,
                         const std::function<void(const EpochReport&)>& on_epoch = {});

/// A number that tells apart sets of other users or items (FNV-1a over all ids), as 16 hex digits.
std::string fingerprint(const data::Prepared& prepared);

/// UsageError unless the model was trained on the same users and items; `trained_on` is the fingerprint of its data.
void check_fits(const PreferenceModel& model, const std::string& trained_on, const data::Prepared& prepared);

/// No bundle meets the constraints: which, and by how much.
struct NoBundle : DataError {
  using DataError::DataError;
};

/// search.* with ids resolved; DataError for an unknown id.
SearchParams search_params(const data::Prepared& prepared, const config::Config& config);

/// A bundle for the shop's shelf, with what a merchant asks about it.
struct Offer {
  Bundle bundle;
  double price = 0;             // sum of the items' usual prices
  double discount = 0;          // suggested, a share of it: min + (max - min) / max(1, lift)
  double offer_price = 0;       // price * (1 - discount)
  double expected_baskets = 0;  // coming baskets of the period that hold at least two of its items; NaN: not foreseen
  double audience = 0;          // expected number of users who buy at least two of its items in the period
  double expected_value = 0;    // expected_baskets, where foreseen, else audience, times offer_price
  BundleIncrement increment;    // what the discount adds against no offer
  double cohesion = 0;          // mean over its pairs of the cosine of counted baskets, 0 .. 1
  double lift = 0;              // mean over its pairs
  double association = 0;       // mean over its pairs of A(i, j) as the search used it
  std::vector<int32_t> users;   // the likeliest ones, best first
};

/// Bundles that were chosen together, because they share uses or stock.
struct Together {
  double value = 0;  // sum of the bundles' F
  double bound = 0;  // of any choice among the bundles that were found
  int64_t n_found = 0, n_rounds = 0;
};

struct CatalogSearch {
  std::vector<Offer> offers;  // best value first
  std::vector<double> convergence;
  int64_t n_anchors = 0, n_feasible = 0;
  int64_t n_searches = 0;  // problems searched: the anchors, and those searched anew without what chosen bundles hold
  double period_days = 0;  // that baskets are expected in; 0: without the joint objective
  std::string fewer;       // why there are fewer offers than asked for; empty: there are not
  std::optional<Together> together;
  double seconds = 0;
};

/// Bundles around the items that the users want most. NoBundle if none meets the constraints.
CatalogSearch search_catalog(Context& context, const Dataset& dataset, const PreferenceModel& model,
                             const PairCounts& counts, const config::Config& config);

/// A(i, j) of the given items as the search uses it, [items, items].
std::vector<double> association_matrix(Context& context, const Dataset& dataset, const PreferenceModel& model,
                                       const PairCounts& counts, const config::Config& config,
                                       const std::vector<int32_t>& items);

/// The `count` items that users want most by their mean probability.
std::vector<int32_t> most_wanted(Context& context, const PreferenceModel& model, int64_t count);

/// 0, 1, .. n - 1
std::vector<int32_t> all_ids(int64_t n);

/// The best bundle of each of `users`, NoBundle if there is none for anyone; where they share stock or uses, a user for whom nothing is left has a bundle without items, of violation 1.
SearchResult search_users(Context& context, const Dataset& dataset, const PreferenceModel& model,
                          const PairCounts& counts, const config::Config& config, const std::vector<int32_t>& users,
                          std::optional<Together>* together = nullptr);

/// Why an item is in a user's bundle, beside the chance that the model gives it.
struct Reason {
  int64_t bought = 0;    // lines of the user's training purchases
  int32_t partner = -1;  // the other item of the bundle that it is bought with most often against chance; -1: none is
  double lift = 0;       // how many times as often
};
/// One an item of the bundle.
std::vector<Reason> reasons_of(const Dataset& dataset, const PairCounts& counts, const Bundle& bundle);

/// P(buys at least two of the items) if purchases were independent.
double at_least_two(const std::vector<double>& probabilities);

struct Quality {
  struct Ranked {
    std::string name;
    std::vector<RankingSummary> at;  // one a length of evaluate.k
  };
  std::vector<Ranked> ranked;  // the model first, then the baselines
  int64_t n_pairs = 0;         // of the balanced sample below
  double accuracy = 0, auc = 0, log_loss = 0, brier = 0;
  Calibration calibration;
  /// Foreseen against found: P of a purchase in the test period at the head of users' lists; chance a basket of own items, empty without
  /// the joint objective.
  std::vector<ReliabilityBin> purchase_reliability, basket_reliability;
  BundleSummary bundles;
  std::vector<int64_t>
      preference_histogram;              // P(u, i) of test purchases in 20 equal bins of [0, 1] on the balanced sample
  std::vector<int64_t> other_histogram;  // and of drawn items
};

/// Against the test period. `user_bundles` may be empty.
Quality evaluate(Context& context, const Dataset& dataset, const PreferenceModel& model, const config::Config& config,
                 const std::vector<Bundle>& user_bundles);
nlohmann::json to_json(const Quality& quality);

}  // namespace sheaf::app
