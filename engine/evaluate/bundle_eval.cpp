#include "engine/evaluate/bundle_eval.hpp"

#include <algorithm>
#include <span>

#include "engine/evaluate/ratio.hpp"

namespace sheaf {
namespace {

constexpr size_t kMaxCompared = 2000;  // bundles whose pairwise overlap is averaged

int64_t common_items(std::span<const int32_t> a, std::span<const int32_t> b) {
  int64_t common = 0;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    if (*i == *j) ++common;
    const bool step_i = *i <= *j, step_j = *j <= *i;
    if (step_i) ++i;
    if (step_j) ++j;
  }
  return common;
}

}  // namespace

BundleSummary summarise_bundles(const std::vector<Bundle>& bundles, const Catalog& catalog) {
  BundleSummary summary;
  summary.n_bundles = static_cast<int64_t>(bundles.size());
  std::vector<const Bundle*> feasible;
  std::vector<uint8_t> shown(static_cast<size_t>(catalog.n_items), 0);
  double value = 0, size = 0, price = 0;
  for (const Bundle& bundle : bundles) {
    if (bundle.violation != 0.0f) continue;
    feasible.push_back(&bundle);
    value += static_cast<double>(bundle.value);
    size += static_cast<double>(bundle.items.size());
    for (const int32_t item : bundle.items) {
      price += static_cast<double>(catalog.price[static_cast<size_t>(item)]);
      shown[static_cast<size_t>(item)] = 1;
    }
  }
  const auto n = static_cast<double>(feasible.size());
  summary.feasible = ratio(n, static_cast<double>(bundles.size()));
  summary.mean_value = ratio(value, n);
  summary.mean_size = ratio(size, n);
  summary.mean_price = ratio(price, n);
  summary.coverage = ratio(static_cast<double>(std::ranges::count(shown, 1)), static_cast<double>(catalog.n_items));

  double overlap = 0, pairs = 0;
  const size_t compared = std::min(feasible.size(), kMaxCompared);
  for (size_t a = 0; a < compared; ++a) {
    for (size_t b = 0; b < a; ++b, ++pairs)
      overlap += static_cast<double>(common_items(feasible[a]->items, feasible[b]->items));
  }
  summary.mean_overlap = ratio(overlap, pairs);
  return summary;
}

}  // namespace sheaf
