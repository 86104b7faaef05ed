#pragma once
/// Properties of the bundles that a search found, apart from later purchases. For those see bundle_table.hpp.

#include <cstdint>
#include <vector>

#include "engine/bundles/bundle_search.hpp"

namespace sheaf {

/// NaN where there is nothing to average.
struct BundleSummary {
  int64_t n_bundles = 0;
  double feasible = 0;    // share
  double mean_value = 0;  // F of the feasible ones
  double mean_size = 0;
  double mean_price = 0;  // full price
  double coverage = 0;    // share of the catalog that is in any bundle
  /// Mean number of common items over all pairs of (the first 2000) bundles; NaN for fewer than two.
  double mean_overlap = 0;
};

BundleSummary summarise_bundles(const std::vector<Bundle>& bundles, const Catalog& catalog);

}  // namespace sheaf
