#pragma once
/// High-utility itemsets, exactly.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sheaf::ref {

struct UtilityEntry {
  int32_t item;
  double utility;
};
/// Items ascend within a transaction.
using UtilityRows = std::vector<std::vector<UtilityEntry>>;

struct MinedSet {
  std::vector<int32_t> items;  // ascending
  double utility;
  bool operator==(const MinedSet&) const = default;
};

/// The best `count` sets of min_size .. max_size items that some transaction holds, by utility, then items. Depth first
/// over utility lists. A branch ends when the rest of its transactions cannot lift it to the worst of the best (Liu,
/// Qu, 2012, "Mining high utility itemsets without candidate generation"; Tseng et al., 2016, for the rising
/// threshold).
std::vector<MinedSet> mine_utility(const UtilityRows& rows, size_t min_size, size_t max_size, size_t count);

/// The same from all subsets of all transactions.
std::vector<MinedSet> enumerate_utility(const UtilityRows& rows, size_t min_size, size_t max_size, size_t count);

}  // namespace sheaf::ref
