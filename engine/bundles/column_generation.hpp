#pragma once
/// Searches over many problems at once that choose more than each problem's items: the discount of each bundle, and
/// bundles that share stock and uses.

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/bundles/bundle_search.hpp"
#include "engine/bundles/set_packing.hpp"

namespace sheaf {

/// A search of all problems of a run, by search_for_users or search_around_anchors.
using SearchCall = std::function<SearchResult(const SearchParams&)>;

/// Each problem's best bundle over the discounts of `levels`: feasible before infeasible, then by value, then the
/// smaller discount. One search for each level, on the device; `levels` must not be empty. Pools are those of all
/// levels.
SearchResult search_discounts(const SearchCall& search, SearchParams params, const std::vector<float>& levels);

/// A search of some of the problems of a run, by their numbers, ascending.
using PartialSearchCall = std::function<SearchResult(const SearchParams&, const std::vector<int64_t>& which)>;

struct ApartSelection {
  std::vector<Bundle> chosen;  // best first
  SearchResult first;          // of all problems, before anything was chosen
  int64_t n_searches = 0;      // problems searched, over all rounds
};

/// Bundles of different problems, any two of which share at most max_overlap items. The best of all problems is taken,
/// what it holds is taken from the others, those are searched again, and so on. (Lazy greedy: a problem's value only
/// falls. So only problems whose bundle no longer fits and would come next are searched, a few at a time.) With
/// max_overlap 0 no item, with 1 no pair of items is in two bundles. With more, bundles that do not fit are dropped and
/// not searched again. `subject` is each problem's anchor.
ApartSelection search_apart(const PartialSearchCall& search, SearchParams params, const std::vector<int32_t>& anchors,
                            int64_t n_items, int64_t max_overlap, int64_t count);

struct ColumnGeneration {
  std::vector<Bundle> bundles;      // the choice, by value, best first
  std::vector<double> convergence;  // of the first round
  double value = 0.0;               // sum of theirs
  double bound = 0.0;               // of any choice among the bundles that were found
  int64_t n_found = 0;              // different feasible bundles
  int64_t n_rounds = 0;
};

/// Sets the demand of columns from the first `n` on.
using DemandCall = std::function<void(std::vector<Column>& columns, size_t first)>;

/// Column generation (Dantzig and Wolfe, 1960). All problems are searched. The choice among all bundles found so far
/// puts prices on the items that are short. All problems are searched again with those prices as costs, so they look
/// for other items. This repeats until no bundle is new or the value no longer rises. `params.keep_pools` and
/// `item_cost` are set here.
ColumnGeneration generate_columns(const SearchCall& search, SearchParams params, const PackingConstraints& constraints,
                                  int64_t n_items, const DemandCall& demand);

}  // namespace sheaf
