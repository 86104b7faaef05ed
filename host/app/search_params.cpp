#include "host/app/search_params.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace sheaf::app {
namespace {

int64_t min_categories(const data::Prepared& prepared, const config::Config::Search& settings) {
  constexpr int64_t kUsual = 3;
  if (settings.min_categories > 0) return settings.min_categories;
  const std::set<int32_t> categories(prepared.item_category.begin(), prepared.item_category.end());
  const int64_t n_categories = settings.categories.empty() ? std::ssize(categories) : std::ssize(settings.categories);
  return std::min({kUsual, n_categories, settings.max_size});
}

/// Forbids the items of all other categories.
void keep_categories(const data::Prepared& prepared, const std::vector<std::string>& names, SearchParams& params) {
  std::set<int32_t> kept;
  for (const std::string& name : names) kept.insert(prepared.find_category(name));
  const auto is_kept = [&](int32_t item) { return kept.contains(prepared.item_category[static_cast<size_t>(item)]); };
  for (const int32_t item : params.must_have) {
    if (is_kept(item)) continue;
    throw DataError(fmt::format("item '{}' of search.must_have is of category '{}', which search.categories leaves out",
                                prepared.item_ids[item],
                                prepared.category_names[prepared.item_category[static_cast<size_t>(item)]]),
                    "add the category, or take the item out");
  }
  for (int32_t item = 0; item < prepared.n_items; ++item) {
    if (!is_kept(item)) params.forbidden.push_back(item);
  }
  std::ranges::sort(params.forbidden);
  params.forbidden.erase(std::ranges::unique(params.forbidden).begin(), params.forbidden.end());
}

}  // namespace

SearchParams search_params(const data::Prepared& prepared, const config::Config& config) {
  const auto& s = config.search;
  SearchParams params;
  params.candidates = s.candidates;
  params.min_size = s.min_size;
  params.max_size = s.max_size;
  params.budget = s.budget;
  params.min_categories = min_categories(prepared, s);
  for (const std::string& id : s.must_have) params.must_have.push_back(prepared.find_item(id));
  for (const std::string& id : s.forbidden) params.forbidden.push_back(prepared.find_item(id));
  if (!s.categories.empty()) keep_categories(prepared, s.categories, params);
  params.weight_association = static_cast<float>(s.weight_association);
  params.weight_preference = static_cast<float>(s.weight_preference);
  params.weight_revenue = static_cast<float>(s.weight_revenue);
  params.search = {.local_searches = static_cast<int32_t>(s.local_searches),
                   .rounds = static_cast<int32_t>(s.rounds),
                   .iterations = static_cast<int32_t>(s.iterations),
                   .islands = static_cast<int32_t>(s.islands),
                   .migrate_every = static_cast<int32_t>(s.migrate_every),
                   .seed = static_cast<uint64_t>(config.run.seed)};
  return params;
}

}  // namespace sheaf::app
