#pragma once
/// Bundles of one run that share stock and uses: the choice among found bundles with the highest total value, such that
/// no item is in too many of them and no stock is sold twice.
///
/// Choose a set X of columns (found bundles) that maximises the sum of their values subject to
///   at most `count` columns;  at most one of a subject, if so asked;  items that two of them share <= max_overlap, and
///       no copies;
///   for each item i: columns of X that hold i <= max_uses, and the sum of their demands <= stock[i].
///
/// Found by several greedy starts (by value, and by value less the prices below) and exchanges: one column against
/// those that conflict with it.
/// The bound is Lagrange's: prices l_i, m_i >= 0 on uses and stock, by subgradients (Held, Wolfe and Crowder, 1974);
///   sum over the best subjects or columns of max(0, value - sum over i of (l_i + demand m_i))  +  sum over i of l_i
///       max_uses + m_i stock[i]
/// is above every choice among these columns, whatever the prices.

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/bundles/bundle_search.hpp"

namespace sheaf {

struct PackingConstraints {
  int64_t count = 0;                                          // 0: any
  int64_t max_overlap = std::numeric_limits<int64_t>::max();  // max: any, copies too
  int64_t max_uses = 0;                                       // 0: any
  std::vector<double> stock;  // [n_items] units, infinity: not limited; empty: none is limited
  bool one_per_subject = false;

  bool limits_items() const { return max_uses > 0 || !stock.empty(); }
};

/// A feasible bundle, and the units of each of its items that it is expected to sell.
struct Column {
  Bundle bundle;
  double demand = 1.0;
};

struct Packing {
  std::vector<int64_t> chosen;  // columns, by value, best first
  double value = 0.0;           // sum of theirs
  double bound = 0.0;           // of any choice among the columns
  std::vector<double> price;    // [n_items] l_i + m_i * (mean demand): the worth of using the item elsewhere
};

Packing pack_bundles(const std::vector<Column>& columns, const PackingConstraints& constraints, int64_t n_items);

}  // namespace sheaf
