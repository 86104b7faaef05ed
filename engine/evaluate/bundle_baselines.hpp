#pragma once
/// Bundles made without a search: a new way to make bundles must beat them. All obey the search's sizes, budget,
/// categories, forbidden items and must-have items. If a method finds nothing that does, the bundle is empty. Ties go
/// to the smaller ids. They ignore what bundles of a run share (stock, uses), and margin floors.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/associate/association.hpp"
#include "engine/bundles/bundle_search.hpp"
#include "engine/data/basket_history.hpp"
#include "engine/evaluate/bundle_table.hpp"
#include "engine/mining/frequent_itemsets.hpp"

namespace sheaf {

/// [n_users, n_items] each basket that holds the item adds exp(-age / days), where age is in days before the last
/// basket. With days = infinity the entry is the number of baskets.
HostCsr decayed_counts(const BasketHistory& history, double days);

/// The search's constraints on one bundle.
class BundleRules {
 public:
  /// `one_of` are items of which a bundle holds at least one, as in a search around anchors; empty: no such rule.
  BundleRules(const Catalog& catalog, const SearchParams& params, const std::vector<int32_t>& one_of = {});
  bool fits(const std::vector<int32_t>& items) const;
  /// Whether `items` and the item can still become a bundle of at most `size` items.
  bool may_join(const std::vector<int32_t>& items, int32_t item, int64_t size) const;
  /// The must-have items, then the first of `ranked` (then of `more`) that may still join, up to max_size. An item may
  /// join while the budget holds and enough places are left for the categories. Ascending; empty if the bundle violates
  /// a lower limit in the end.
  std::vector<int32_t> fill(const std::vector<int32_t>& ranked, const std::vector<int32_t>& more = {}) const;
  bool is_forbidden(int32_t item) const { return forbidden_[static_cast<size_t>(item)] != 0; }
  bool has_one_of() const { return !one_of_.empty(); }
  /// True for every item where there is no such rule.
  bool is_one_of(int32_t item) const { return one_of_.empty() || one_of_[static_cast<size_t>(item)] != 0; }
  const SearchParams& params() const { return params_; }
  const Catalog& catalog() const { return catalog_; }

 private:
  bool holds_one_of(const std::vector<int32_t>& items) const;

  const Catalog& catalog_;
  const SearchParams& params_;
  std::vector<uint8_t> forbidden_, one_of_;  // [n_items]; the latter may be empty
};

/// The items with the largest entries in the user's row of `weights` (decayed_counts), then the most popular ones.
NamedBundles most_frequent_bundles(std::string name, const HostCsr& weights, const BundleRules& rules,
                                   const std::vector<int32_t>& users);
/// The first items of the user's list, [n_users, length] row-major, -1 for none.
NamedBundles listed_bundles(std::string name, const std::vector<int32_t>& lists, int64_t length,
                            const BundleRules& rules, const std::vector<int32_t>& users);
/// At most `size` items such that most of the user's own baskets hold at least two of them: the best pair, then the
/// items that add most, then exchanges of one item while they help; among the user's `pool` most frequent items.
NamedBundles covering_bundles(std::string name, const BasketHistory& history, const BundleRules& rules,
                              const std::vector<int32_t>& users, int64_t size, int64_t pool = 32);
/// Of the 5,000 itemsets with the most support that fit, the one whose items the user bought most often in sum
/// (by `counts`); of equals the one with more support. Below max_size it is filled with the user's most frequent items.
NamedBundles itemset_bundles(std::string name, const std::vector<Itemset>& itemsets, const HostCsr& counts,
                             const BundleRules& rules, const std::vector<int32_t>& users);
/// One set for everyone: most baskets hold at least two of its items. Found as in covering_bundles.
NamedBundles global_bundle(std::string name, const BasketHistory& history, const BundleRules& rules,
                           const std::vector<int32_t>& users, int64_t pool = 100);

enum class ItemsetScore { support, leverage, support_price };
/// A catalog of `count` bundles: larger itemsets first, then by the score (leverage: mean over pairs of n(i,j)/n - n(i)
/// n(j)/n^2). Leaves out those that share more than max_overlap items with one already taken.
NamedBundles itemset_catalog(std::string name, const std::vector<Itemset>& itemsets, const PairCounts& counts,
                             ItemsetScore score, const BundleRules& rules, int64_t max_overlap, int64_t count);
/// A catalog of `count` covering sets, one after another. Each is found as in global_bundle among the items that the
/// overlap permits.
NamedBundles covering_catalog(std::string name, const BasketHistory& history, const BundleRules& rules,
                              int64_t max_overlap, int64_t count, int64_t pool = 100);

}  // namespace sheaf
