#pragma once
/// All frequent itemsets: the sets of items that enough baskets hold.
///
/// Eclat (Zaki, "Scalable algorithms for association mining", 2000) on bitsets: the baskets of a set are the
/// intersection of the baskets of its parts, counted by popcount. Depth first, so memory is one bitset for each level
/// and partner.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/csr.hpp"

namespace sheaf {

struct Itemset {
  std::vector<int32_t> items;  // ascending
  int64_t support = 0;         // baskets that hold all of them
  bool operator==(const Itemset&) const = default;
};

struct MiningParams {
  int64_t min_support = 2;  // baskets, at least 1
  int64_t min_size = 1, max_size = 4;
  int64_t max_itemsets = 10'000'000;     // more are an error
  int64_t max_bytes = int64_t{2} << 30;  // of bitsets
  std::vector<uint8_t> allowed = {};     // [n_items] items that sets may hold, or empty: all
};

/// All sets of min_size to max_size items that at least min_support rows of `baskets` ([n_baskets, n_items], a pattern)
/// hold, by size, then items. UsageError where a parameter is out of range, or the result or the bitsets are above the
/// limits.
std::vector<Itemset> frequent_itemsets(const HostCsr& baskets, const MiningParams& params);

/// The same, but instead of the error the support is doubled until at most max_itemsets are found; `used` receives it.
std::vector<Itemset> most_frequent_itemsets(const HostCsr& baskets, MiningParams params, int64_t* used = nullptr);

/// A rule antecedent -> consequent with one item on the right (Agrawal, Srikant, "Fast algorithms for mining
/// association rules", 1994).
struct ItemRule {
  std::vector<int32_t> antecedent;  // ascending, not empty
  int32_t consequent = -1;
  int64_t support = 0;    // baskets with all of them
  double confidence = 0;  // that over the baskets with the antecedent
};
/// Of sets that frequent_itemsets gave with min_size = 1, in their order.
std::vector<ItemRule> one_item_rules(const std::vector<Itemset>& itemsets, double min_confidence);

}  // namespace sheaf
