#pragma once
/// The model against the test period, beside baselines.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/bundles/bundle_search.hpp"
#include "engine/evaluate/bundle_eval.hpp"
#include "engine/evaluate/ranking_eval.hpp"
#include "engine/evaluate/reliability.hpp"
#include "host/app/session.hpp"

namespace sheaf::app {

struct Quality {
  struct Ranked {
    std::string name;
    std::vector<RankingSummary> at;  // one a length of evaluate.k
  };
  std::vector<Ranked> ranked;       // the model first, then the baselines
  bool through_validation = false;  // what the model and the baselines know: train and validation, or train alone
  int64_t n_pairs = 0;              // of the balanced sample below
  double accuracy = 0, auc = 0, log_loss = 0, brier = 0;
  Calibration calibration;
  /// Predicted against found: P of a purchase in the test period at the head of users' lists; the chance that a basket
  /// holds an item of the user's own, empty without the joint objective.
  std::vector<ReliabilityBin> purchase_reliability, basket_reliability;
  BundleSummary bundles;
  std::vector<int64_t>
      preference_histogram;              // P(u, i) of test purchases in 20 equal bins of [0, 1] on the balanced sample
  std::vector<int64_t> other_histogram;  // and of drawn items
};

/// `user_bundles` may be empty.
Quality evaluate(const Session& session, const std::vector<Bundle>& user_bundles);
nlohmann::json to_json(const Quality& quality);

}  // namespace sheaf::app
