#pragma once
/// The tables that compare bundles with baselines: for users and for the catalog, on the same baskets under the same
/// constraints.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/evaluate/bundle_table.hpp"
#include "host/app/searches.hpp"

namespace sheaf::app {

/// The settings of the baselines. Each is chosen where the share of validation baskets with two or more of a bundle's
/// items is highest, with the training baskets as history; among equals the first.
struct BaselineSettings {
  double decay_days = 0;     // a basket of the history weighs exp(-age / this)
  int64_t users_pool = 0;    // frequent itemsets for users: of this many most popular items
  int64_t catalog_pool = 0;  // covering sets of the catalog: likewise
  std::string itemsets;      // what was chosen for the catalog's itemsets, in words
};

struct BundleQuality {
  std::vector<BundleRow> users, catalog;       // ours first; empty: there is no bundle
  std::string users_missing, catalog_missing;  // why
  BaselineSettings settings;
  bool through_validation = false;  // the history of the baselines and of what a user had bought: search.history
  int64_t catalog_baskets = 0;      // that the catalog was measured on
};

/// What our search found, or why it found nothing.
struct FoundBundles {
  std::vector<Bundle> users;
  std::vector<Offer> catalog;
  std::string users_missing, catalog_missing;
};
/// search_users() of everyone and search_catalog(); what no bundle meets is said, not thrown.
FoundBundles find_bundles(const Session& session);

/// Users are measured on the baskets of the test period, the catalog on all baskets after the history. The lift out of
/// time is counted on the latter. If the search starts around trending or new items, every bundle of the catalog's
/// baselines holds one of them, too.
///
BundleQuality measure_bundle_quality(const Session& session, const FoundBundles& found);

nlohmann::json to_json(const BundleQuality& quality);

}  // namespace sheaf::app
