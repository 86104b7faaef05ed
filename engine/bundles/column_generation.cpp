#include "engine/bundles/column_generation.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr int64_t kMaxRounds = 12;
constexpr int64_t kPatience = 2;  // rounds without a better choice

bool better(const Bundle& a, const Bundle& b) {
  if (a.violation != b.violation) return a.violation < b.violation;
  return a.violation == 0.0f && a.value > b.value;
}

/// F itself: what the items cost in the search that found the bundle is given back.
float value_without_costs(const Bundle& bundle, const std::vector<float>& item_cost) {
  if (item_cost.empty()) return bundle.value;
  double value = static_cast<double>(bundle.value);
  for (const int32_t item : bundle.items) value += static_cast<double>(item_cost[static_cast<size_t>(item)]);
  return static_cast<float>(value);
}

/// Pairs of items that no further bundle may hold, because chosen ones do.
class TakenPairs {
 public:
  TakenPairs(const HostCsr& base, int64_t n_items) : n_items_(n_items) {
    for (int64_t row = 0; row < base.n_rows(); ++row) {
      for (const int32_t column : base.row(row)) add(static_cast<int32_t>(row), column);
    }
  }
  void add(int32_t i, int32_t j) {
    rows_.push_back(i);
    columns_.push_back(j);
  }
  HostCsr csr() const { return csr_from_pairs(rows_, columns_, {}, n_items_, n_items_); }

 private:
  int64_t n_items_;
  std::vector<int32_t> rows_, columns_;
};

int64_t n_shared(const Bundle& a, const Bundle& b) {
  std::vector<int32_t> both;
  std::ranges::set_intersection(a.items, b.items, std::back_inserter(both));
  return std::ssize(both);
}

}  // namespace

ApartSelection search_apart(const PartialSearchCall& search, SearchParams params, const std::vector<int32_t>& anchors,
                            int64_t n_items, int64_t max_overlap, int64_t count) {
  constexpr size_t kBatch = 16;
  constexpr int32_t kAgainRounds = 2, kAgainSearches = 4;
  const HostCsr base = params.apart;
  TakenPairs taken(base, n_items);
  std::vector<int64_t> everything(anchors.size());
  std::iota(everything.begin(), everything.end(), int64_t{0});
  ApartSelection selection;
  selection.first = search(params, everything);
  selection.n_searches = std::ssize(anchors);
  std::vector<Bundle> current = selection.first.bundles;
  const auto fits = [&](const Bundle& bundle) {
    return std::ranges::none_of(selection.chosen, [&](const Bundle& other) {
      return n_shared(bundle, other) > max_overlap || bundle.items == other.items;
    });
  };
  std::vector<int64_t> order;  // of problems that may still give a bundle
  for (const int64_t p : everything) {
    if (current[static_cast<size_t>(p)].violation == 0.0f) order.push_back(p);
  }
  while (std::ssize(selection.chosen) < count && !order.empty()) {
    check_interrupt("the bundle search");
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](int64_t p) { return current[static_cast<size_t>(p)].value; });
    const Bundle& best = current[static_cast<size_t>(order.front())];
    if (fits(best)) {
      for (const int32_t i : best.items) {
        for (const int32_t j : best.items) {
          if (i != j) taken.add(i, j);
        }
      }
      selection.chosen.push_back(best);
      order.erase(order.begin());
      continue;
    }
    std::vector<int64_t> again;
    for (const int64_t p : order) {
      if (again.size() < kBatch && !fits(current[static_cast<size_t>(p)])) again.push_back(p);
    }
    std::ranges::sort(again);
    // An anchor that is taken itself has no other bundle; one bundle too many shared items is not searched anew.
    const auto is_taken = [&](int64_t p) {
      const int32_t anchor = anchors[static_cast<size_t>(p)];
      return max_overlap > 1 || (max_overlap == 0 && std::ranges::any_of(selection.chosen, [&](const Bundle& bundle) {
                                   return std::ranges::binary_search(bundle.items, anchor);
                                 }));
    };
    for (const int64_t p : again) current[static_cast<size_t>(p)].violation = 1.0f;
    std::erase_if(again, is_taken);
    if (!again.empty()) {
      TakenPairs round = taken;
      for (const int64_t p : again) {
        const int32_t anchor = anchors[static_cast<size_t>(p)];
        for (const Bundle& bundle : selection.chosen) {
          for (const int32_t item : bundle.items) {
            if (max_overlap > 0 || item == anchor) continue;
            round.add(anchor, item);
            round.add(item, anchor);
          }
        }
      }
      params.apart = round.csr();
      // Fewer moves find the same sets here: what is left is near what was found before.
      params.search.rounds = std::min(params.search.rounds, kAgainRounds);
      params.search.local_searches = std::min(params.search.local_searches, kAgainSearches);
      SearchResult found = search(params, again);
      selection.n_searches += std::ssize(again);
      for (size_t r = 0; r < again.size(); ++r) current[static_cast<size_t>(again[r])] = std::move(found.bundles[r]);
    }
    std::erase_if(order, [&](int64_t p) { return current[static_cast<size_t>(p)].violation != 0.0f; });
  }
  return selection;
}

SearchResult search_discounts(const SearchCall& search, SearchParams params, const std::vector<float>& levels) {
  if (levels.empty()) throw UsageError("no discount to search with", "give at least one level");
  SearchResult best;
  for (const float level : levels) {
    params.discount = level;
    SearchResult found = search(params);
    if (best.bundles.empty()) {
      best = std::move(found);
      continue;
    }
    for (size_t p = 0; p < found.bundles.size(); ++p) {
      if (better(found.bundles[p], best.bundles[p])) best.bundles[p] = std::move(found.bundles[p]);
    }
    best.pools.insert(best.pools.end(), found.pools.begin(), found.pools.end());
  }
  return best;
}

ColumnGeneration generate_columns(const SearchCall& search, SearchParams params, const PackingConstraints& constraints,
                                  int64_t n_items, const DemandCall& demand) {
  params.keep_pools = true;
  std::vector<Column> columns;
  std::set<std::tuple<int64_t, float, std::vector<int32_t>>> seen;
  ColumnGeneration result;
  Packing choice;
  int64_t stale = 0;
  while (result.n_rounds < kMaxRounds && stale < kPatience) {
    check_interrupt("the bundle search");
    SearchResult found = search(params);
    if (result.n_rounds++ == 0) result.convergence = std::move(found.convergence);
    const size_t first = columns.size();
    for (Bundle& bundle : found.pools) {
      if (!seen.emplace(bundle.subject, bundle.discount, bundle.items).second) continue;
      bundle.value = value_without_costs(bundle, params.item_cost);
      columns.push_back({std::move(bundle), 1.0});
    }
    if (columns.size() == first) break;
    demand(columns, first);
    Packing next = pack_bundles(columns, constraints, n_items);
    stale = next.value > choice.value ? 0 : stale + 1;
    params.item_cost.assign(next.price.begin(), next.price.end());
    const bool free = std::ranges::all_of(next.price, [](double price) { return price == 0.0; });
    if (next.value > choice.value) {
      choice = std::move(next);
    } else {
      choice.bound = next.bound;  // of all columns
    }
    if (free) break;  // nothing is short
  }
  for (const int64_t c : choice.chosen) result.bundles.push_back(columns[static_cast<size_t>(c)].bundle);
  result.value = choice.value;
  result.bound = std::max(choice.bound, choice.value);
  result.n_found = std::ssize(columns);
  return result;
}

}  // namespace sheaf
