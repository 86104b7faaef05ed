#include "tests/reference/bundle.hpp"

#include <algorithm>
#include <set>

namespace sheaf::ref {

double bundle_value(const BundleWorld& world, const std::vector<int32_t>& items) {
  double value = 0;
  for (const int32_t item : items) {
    const auto i = static_cast<size_t>(item);
    value += world.probability[i] * (world.weight_preference + world.weight_revenue * world.price[i]);
    for (const int32_t other : items) {
      if (other == item) continue;
      value += world.weight_association * world.probability[i] * world.association[i][static_cast<size_t>(other)];
    }
  }
  return value;
}

bool bundle_feasible(const BundleWorld& world, const std::vector<int32_t>& items) {
  const auto size = static_cast<int64_t>(items.size());
  const auto holds = [&](int32_t item) { return std::find(items.begin(), items.end(), item) != items.end(); };
  double price = 0;
  std::set<int32_t> categories;
  for (const int32_t item : items) {
    price += world.price[static_cast<size_t>(item)];
    categories.insert(world.category[static_cast<size_t>(item)]);
  }
  return size >= world.min_size && size <= world.max_size && price <= world.budget &&
         static_cast<int64_t>(categories.size()) >= world.min_categories &&
         std::all_of(world.must_have.begin(), world.must_have.end(), holds) &&
         std::none_of(world.forbidden.begin(), world.forbidden.end(), holds);
}

double best_bundle_value(const BundleWorld& world) {
  double best = -std::numeric_limits<double>::infinity();
  const auto n_items = static_cast<int32_t>(world.price.size());
  for (uint32_t mask = 0; mask < (1u << n_items); ++mask) {
    std::vector<int32_t> items;
    for (int32_t i = 0; i < n_items; ++i) {
      if (mask >> i & 1u) items.push_back(i);
    }
    if (bundle_feasible(world, items)) best = std::max(best, bundle_value(world, items));
  }
  return best;
}

}  // namespace sheaf::ref
