#pragma once
/// Do the bundles match what was bought later? Against the baskets of the test period.

#include <cstdint>
#include <vector>

#include "engine/data/csr.hpp"
#include "engine/search/bundle_search.hpp"

namespace sheaf {

struct BundleSummary {
  int64_t n_bundles = 0;
  double feasible = 0;    // share
  double mean_value = 0;  // F of the feasible ones
  double mean_size = 0;
  double mean_price = 0;       // full price
  double coverage = 0;         // share of the catalog that is in any bundle
  double mean_overlap = 0;     // mean number of common items over all pairs of bundles; NaN for fewer than two
  int64_t n_baskets = 0;       // held-out baskets of users who have a bundle
  double baskets_hit = 0;      // share of them with at least two items of the user's bundle; NaN without baskets
  double baskets_touched = 0;  // ... with at least one
};

/// bundles[i].subject is the user. baskets is [n_baskets, n_items], basket_user its users.
BundleSummary evaluate_user_bundles(const std::vector<Bundle>& bundles, const Catalog& catalog, const HostCsr& baskets,
                                    const std::vector<int32_t>& basket_user);

}  // namespace sheaf
