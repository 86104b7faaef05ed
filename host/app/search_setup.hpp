#pragma once
/// What every search of a run begins with, and the chances that its offers are judged by.

#include <cstdint>
#include <vector>

#include "engine/associate/association.hpp"
#include "engine/bundles/bundle_search.hpp"
#include "host/app/campaign.hpp"
#include "host/app/joint.hpp"
#include "host/app/search_params.hpp"
#include "host/app/session.hpp"
#include "host/config/config.hpp"

namespace sheaf::app {

/// Settings resolved, terms of search.objective set, what the search knows on the device.
struct SearchSetup {
  /// By search.objective, or by another one.
  explicit SearchSetup(const Session& of, const std::string& objective = {});

  /// [n_items] what users want, all of them or some: the chance that a coming basket holds the item, or P of a purchase
  /// for the affinity alone.
  const std::vector<float>& wanted() const { return wanted_; }
  std::vector<float> wanted_by(const std::vector<int32_t>& users) const;
  /// [anchors, at most search.candidates - 1] what may stand beside each anchor, best first, -1 for none: by the chance
  /// that a basket holds both; for the affinity alone by associate.by.
  std::vector<int32_t> partners_of(const std::vector<int32_t>& anchors) const;

  const Session& session;
  ObjectiveTerms terms;
  Campaign plan;
  SearchParams params;
  const JointModel* joint = nullptr;  // null: the objective is the affinity alone
  SearchSpace space;

 private:
  std::vector<float> wanted_;
};

/// Of one bundle, one entry a user.
struct UserChances {
  std::vector<double> buys;     // chance that the user buys at least two of the items in the period
  std::vector<double> baskets;  // expected baskets that hold at least two; empty without the joint objective
};

/// Chances of every user for any bundle's items.
class ChanceTable {
 public:
  /// `setup` outlives the table.
  explicit ChanceTable(const SearchSetup& setup);
  ChanceTable(const ChanceTable&) = delete;
  ChanceTable& operator=(const ChanceTable&) = delete;
  /// `factor` lifts every chance, which ends at 1.
  UserChances of_bundle(const Bundle& bundle, double factor) const;
  /// [n_users, items] that the user buys the item in the period.
  std::vector<double> in_period(const std::vector<int32_t>& items) const;
  int64_t n_users() const { return session_.prepared.n_users; }

 private:
  /// [n_users, items] a basket, or in the period without the joint objective.
  std::vector<double> of_items(const std::vector<int32_t>& items) const;

  const Session& session_;
  const JointModel* joint_;
};

}  // namespace sheaf::app
