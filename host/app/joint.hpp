#pragma once
/// What the bundles of a data set are expected to do: chances of coming baskets, the dependence of items in them, and
/// what search.objective makes of both.

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/bundles/bundle_search.hpp"
#include "engine/demand/basket_chances.hpp"
#include "engine/demand/basket_dependence.hpp"
#include "host/app/campaign.hpp"
#include "host/config/config.hpp"

namespace sheaf::app {

class Session;

/// The terms of search.objective with their weights: "joint", or a sum such as "revenue + 20 discovery". UsageError,
/// with the nearest name, for anything else.
struct ObjectiveTerms {
  double joint = 0, affinity = 0, revenue = 0, margin = 0, discovery = 0, clearance = 0;

  static ObjectiveTerms parse(const std::string& text);
  bool is_joint() const { return joint != 0 || revenue != 0 || margin != 0 || discovery != 0 || clearance != 0; }
  /// Of a bundle's value, for people: "expected baskets", "USD", ...
  std::string unit(const std::string& currency) const;
};

/// Learned once a run from the baskets of search.history.
struct JointModel {
  double period_days = 28, gap_days = 0;  // what is foreseen, and how long after the history
  double day = 0;                         // the history's last, since 1970
  int64_t n_baskets = 0;                  // of the history
  HabitModel habits;
  BasketChances chances;
  BasketDependence dependence;
  std::vector<float> vectors;  // [n_items, dim] of the model, for the prior of the dependence
  int64_t dim = 0;
  DependenceGain gain;          // on the validation period, of the dependence learned from train; no pairs without one
  std::vector<float> all;       // [n_items] chance that a coming basket of anyone holds the item
  double expected_baskets = 0;  // of all users in the period

  /// [n_items] that a coming basket of these users holds the item.
  std::vector<float> chance_of(const std::vector<int32_t>& users) const;
  /// The chance that a basket of the user holds at least two of the items: as if they were independent, times how much
  /// likelier the pairs are. `chances` has one value for each item.
  double at_least_two(const std::vector<int32_t>& items, const std::vector<double>& chances) const;
};

/// The baskets that search.history names: of train, or of train and validation.
BasketHistory basket_history(const Session& session);
/// Learns it. DataError where the history has no basket.
JointModel make_joint_model(const Session& session);

/// Sets the values of the terms in `params`. UsageError for a term that the data cannot give: clearance without stock.
void apply_objective(const ObjectiveTerms& terms, const JointModel& joint, const Session& session, const Campaign& plan,
                     SearchParams& params);

/// P(buys at least two of the items) if purchases were independent.
double at_least_two(const std::vector<double>& probabilities);

/// What the value of a bundle means and its unit: one sentence. `period_days` 0: without the joint objective.
std::string objective_text(const config::Config& config, double period_days, const std::string& currency);
nlohmann::json to_json(const JointModel& joint);
/// Two lines: what the chances were learned from, and how much better than the plain rate they are.
std::string joint_text(const JointModel& joint);

}  // namespace sheaf::app
