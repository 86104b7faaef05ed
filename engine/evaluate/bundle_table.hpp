#pragma once
/// How often later baskets hold the items of bundles: lists of bundles by different methods, measured on the same
/// baskets, with standard errors and paired differences.
///
/// Every column is a ratio of two sums over users, so one set of weights resamples all of them. The standard error is
/// that of a Poisson bootstrap over users (Chamandy, Muralidharan, Najmi, Naidu, "Estimating uncertainty for massive
/// data streams", 2012): in each resample a user, with all baskets and the bundle, counts Poisson(1) times. Draws
/// depend only on (seed, resample, user). So all lists see the same resamples, and their differences are paired.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/basket_history.hpp"
#include "engine/data/catalog.hpp"

namespace sheaf {

/// Bundles made by one method.
struct NamedBundles {
  std::string name;
  std::vector<std::vector<int32_t>> items;  // of each bundle, ascending; empty: there is none, it counts nowhere
  std::vector<int32_t> user;  // the user of each bundle, no user twice; empty: a catalog, offered to everyone
};

struct BundleWorld {
  const Catalog* catalog = nullptr;
  const HostCsr* history = nullptr;  // [n_users, n_items] pattern: what each user had bought before
  BasketsOf before;                  // the baskets of that history
  BasketsOf held_out;                // the baskets that bundles are measured on
  BasketsOf after;                   // the later baskets in which lift is counted
  /// [n_items, n_items] symmetric pattern; null or without rows: the column is NaN
  const HostCsr* substitutes = nullptr;
};

/// Shares are of held-out baskets unless the text says otherwise. In a catalog every basket is paired with every
/// bundle, so these columns are pairs (basket, bundle) for each basket and may exceed 1.
enum class BundleColumn {
  at_least_one,    // hold at least one item of the bundle
  at_least_two,    // ... two
  at_least_three,  // ... three
  all_items,       // ... all
  revenue,         // for each basket: usual prices of the bundle's items in it, if there are at least two
  lift_before,     // of the bundles' pairs: sum of n(i, j) over the sum of n(i) n(j) / n, in the baskets of the history
  lift_after,      // the same in the later baskets; resampled with them
  lift_kept,       // lift_after over lift_before
  same_category,   // share of bundles with two items of one category
  substitutes,     // share of bundles with a pair of substitutes
  new_items,       // share of offered items that the user had not bought before
  discovered,      // of those, the share that the user bought in the held-out baskets (of users who have such baskets)
  coverage,        // share of the catalog that is in any bundle; without an error
};
inline constexpr size_t kBundleColumns = 13;
/// "at_least_one", ...
const char* to_string(BundleColumn column);

/// NaN where there is nothing to average, or nothing to resample.
struct Estimate {
  double value = 0, error = 0;
};

struct BundleRow {
  std::string name;
  int64_t n_bundles = 0;  // without the empty ones
  int64_t n_baskets = 0;  // held-out baskets paired with a bundle
  double mean_size = 0, mean_price = 0;
  std::array<Estimate, kBundleColumns> columns;
  std::array<Estimate, kBundleColumns> difference;  // of the first row less this one, paired

  const Estimate& at(BundleColumn column) const { return columns[static_cast<size_t>(column)]; }
  const Estimate& lead(BundleColumn column) const { return difference[static_cast<size_t>(column)]; }
};

struct BootstrapParams {
  int64_t resamples = 1000;
  uint64_t seed = 1;
};

/// One row for each list, in their order. The same numbers for any number of threads and any order of users.
std::vector<BundleRow> measure_bundles(const std::vector<NamedBundles>& lists, const BundleWorld& world,
                                       const BootstrapParams& bootstrap = {});

/// The column at_least_two alone, without an error. Settings are chosen by it.
double share_with_two(const NamedBundles& list, const BasketsOf& baskets);

}  // namespace sheaf
