#pragma once
/// What one run of the bundle search is given beyond each bundle's own constraints: facts of the items for this run,
/// the discounts to choose from, what bundles share, and an earlier result to begin with.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/bundles/column_generation.hpp"
#include "host/config/config.hpp"
#include "host/data/prepared.hpp"
#include "host/data/unknown_ids.hpp"

namespace sheaf::app {

class Session;

/// Of the file search.item_facts; items that it does not name may be sold without end, at no known cost. Lines of
/// unknown items are left out, or refused (run.unknown_ids).
struct RunFacts {
  std::vector<double> stock;  // [n_items] units, infinity for any; empty: the file has no such column
  std::vector<double> cost;   // [n_items] of a unit in the currency of the data, NaN for unknown; empty: no such column
};

/// DataError, with file and line, for an item that occurs twice, a value that is no number or negative, a file with
/// neither column, and one that names no known item.
RunFacts read_run_facts(const std::filesystem::path& path, const Context& context, data::IdLookup& ids);

/// Bundles of an earlier result: its folder, which must be whole by its checksums, or a bundles.jsonl or users.jsonl.
/// Bundles of unknown users or with unknown items are left out, or refused.
struct KnownBundles {
  std::vector<std::vector<int32_t>> any;                         // of the catalog
  std::map<int64_t, std::vector<std::vector<int32_t>>> of_user;  // by user
};
/// DataError, with file and line, for what is no such file, and for one without a bundle that is known.
KnownBundles read_known_bundles(const std::filesystem::path& path, data::IdLookup& ids);

/// The settings of a run, read once.
struct Campaign {
  explicit Campaign(const Session& session);

  /// The discounts to choose from, ascending; empty: the search does not choose them.
  std::vector<float> levels;
  double uplift = 0;  // chances grow by this times the discount; 0 where the search does not choose it
  RunFacts facts;
  KnownBundles known;

  /// Adds what the plan says to `params`.
  void apply(SearchParams& params, const data::Prepared& prepared, const config::Config& config) const;
  /// [n_items] the cost of a unit: of the facts, else discount.cost_share of the usual price.
  std::vector<double> unit_costs(const data::Prepared& prepared, const config::Config& config) const;
  /// How much likelier a purchase is at a discount, at least 1.
  double demand_factor(double discount) const { return 1.0 + uplift * discount; }
  /// Whether bundles of the run share something, so that they are chosen together.
  bool shares_items(const config::Config& config) const { return config.search.max_uses > 0 || !facts.stock.empty(); }
};

}  // namespace sheaf::app
