#include "engine/search/run_search.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr int64_t kMostRounds = 12;
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

}  // namespace

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

CoupledSearch search_coupled(const SearchCall& search, SearchParams params, const Coupling& coupling, int64_t n_items,
                             const DemandCall& demand) {
  params.keep_pools = true;
  std::vector<Column> columns;
  std::set<std::tuple<int64_t, float, std::vector<int32_t>>> seen;
  CoupledSearch result;
  CoupledChoice choice;
  int64_t stale = 0;
  while (result.n_rounds < kMostRounds && stale < kPatience) {
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
    CoupledChoice next = choose_coupled(columns, coupling, n_items);
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
