#include "host/app/like_search.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "engine/associate/association.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {
namespace {

using Items = std::vector<int32_t>;

/// How many of `count` bundles each size gets: its share among the given ones, largest remainders first (the smaller
/// size among equals).
std::map<int64_t, int64_t> size_quota(const HostCsr& given, const SearchParams& params, int64_t count) {
  std::map<int64_t, int64_t> n_given;
  for (int64_t b = 0; b < given.n_rows(); ++b) {
    ++n_given[std::clamp<int64_t>(std::ssize(given.row(b)), params.min_size, params.max_size)];
  }
  std::map<int64_t, int64_t> quota;
  std::vector<std::pair<int64_t, int64_t>> remainders;  // minus the remainder, size
  int64_t left = count;
  for (const auto& [size, n] : n_given) {
    quota[size] = count * n / given.n_rows();
    left -= quota[size];
    remainders.emplace_back(-(count * n % given.n_rows()), size);
  }
  std::ranges::sort(remainders);
  for (size_t r = 0; left > 0; ++r, --left) ++quota[remainders[r % remainders.size()].second];
  return quota;
}

/// Partners of the anchors by affinity, best first: [anchors, width], -1 for none.
std::vector<int32_t> partner_rows(const HostCsr& partners, const std::vector<int32_t>& anchors,
                                  const std::vector<uint8_t>& forbidden, int64_t width) {
  std::vector<int32_t> rows;
  for (const int32_t anchor : anchors) {
    std::vector<std::pair<float, int32_t>> own;
    for (auto e = partners.row_offsets[static_cast<size_t>(anchor)];
         e < partners.row_offsets[static_cast<size_t>(anchor) + 1]; ++e) {
      const int32_t item = partners.columns[static_cast<size_t>(e)];
      if (forbidden[static_cast<size_t>(item)] == 0) own.emplace_back(-partners.values[static_cast<size_t>(e)], item);
    }
    std::ranges::sort(own);
    own.resize(std::min(own.size(), static_cast<size_t>(width)));
    const size_t end = rows.size() + static_cast<size_t>(width);
    for (const auto& [affinity, item] : own) rows.push_back(item);
    rows.resize(end, -1);
  }
  return rows;
}

/// Does one given bundle hold all of `items`?
bool lies_within(const HostCsr& given_of, const Items& items) {
  const auto first = given_of.row(items.front());
  std::vector<int32_t> common(first.begin(), first.end());
  for (size_t m = 1; m < items.size() && !common.empty(); ++m) {
    std::vector<int32_t> both;
    std::ranges::set_intersection(common, given_of.row(items[m]), std::back_inserter(both));
    common = std::move(both);
  }
  return !common.empty();
}

LikeBundle as_like_bundle(const Items& items, const CompletionScorer& scorer, const Catalog& catalog) {
  LikeBundle bundle{.items = items};
  int64_t n_pairs = 0;
  for (size_t a = 0; a < items.size(); ++a) {
    bundle.price += static_cast<double>(catalog.price[static_cast<size_t>(items[a])]);
    for (size_t b = a + 1; b < items.size(); ++b) {
      const ItemPair pair = scorer.pair(items[a], items[b]);
      bundle.affinity += pair.affinity;
      bundle.known_pairs += pair.together > 0 ? 1 : 0;
      ++n_pairs;
    }
  }
  if (n_pairs > 0) bundle.affinity /= static_cast<double>(n_pairs);
  return bundle;
}

/// The best of `found` within the sizes' quota, none sharing more than `max_overlap` items with another.
std::vector<LikeBundle> choose(const std::vector<LikeBundle>& found, std::map<int64_t, int64_t> quota,
                               int64_t max_overlap, int64_t n_items) {
  std::vector<LikeBundle> chosen;
  std::vector<std::vector<size_t>> chosen_of(static_cast<size_t>(n_items));
  for (const LikeBundle& bundle : found) {
    int64_t& left = quota[std::ssize(bundle.items)];
    if (left == 0) continue;
    std::map<size_t, int64_t> shared;
    for (const int32_t item : bundle.items) {
      for (const size_t other : chosen_of[static_cast<size_t>(item)]) ++shared[other];
    }
    if (std::ranges::any_of(shared, [&](const auto& other) { return other.second > max_overlap; })) continue;
    for (const int32_t item : bundle.items) chosen_of[static_cast<size_t>(item)].push_back(chosen.size());
    chosen.push_back(bundle);
    --left;
  }
  return chosen;
}

}  // namespace

LikeSearch search_like(const Session& session, const CompletionScorer& scorer, const HostCsr& given) {
  Context& context = session.context();
  const config::Config& config = session.config();
  const Range range("search like");
  const auto start = std::chrono::steady_clock::now();
  const int64_t n_items = session.prepared.n_items;
  SearchParams params = search_params(session.prepared, config);
  params.min_categories = 1;
  params.weight_association = 1.0f;
  params.weight_preference = params.weight_revenue = 0.0f;
  params.keep_pools = true;
  std::vector<uint8_t> forbidden(static_cast<size_t>(n_items), 0);
  for (const int32_t item : params.forbidden) forbidden[static_cast<size_t>(item)] = 1;

  const HostCsr partners = scorer.partners(context, std::min<int64_t>(n_items - 1, 255));
  std::vector<int32_t> anchors;
  for (int32_t item = 0; item < n_items; ++item) {
    if (forbidden[static_cast<size_t>(item)] == 0 && !partners.row(item).empty()) anchors.push_back(item);
  }
  const std::vector<int32_t> rows = partner_rows(partners, anchors, forbidden, params.candidates - 1);
  SearchSpace space(context, session.catalog, params);
  space.association = DeviceCsr(context, symmetrised(partners));
  const std::vector<float> all_alike(static_cast<size_t>(n_items), 1.0f);

  LikeSearch result;
  const std::map<int64_t, int64_t> quota = size_quota(given, params, config.search.bundles);
  std::set<Items> sets;
  for (const auto& [size, count] : quota) {
    params.min_size = params.max_size = size;
    const SearchResult found = search_around_anchors(context, space, params, anchors, rows, all_alike);
    result.n_searches += std::ssize(found.bundles);
    for (const Bundle& bundle : found.pools) sets.insert(bundle.items);
  }
  if (sets.empty()) {
    throw DataError("no bundle meets the constraints", "raise search.budget, or allow more items or categories");
  }
  const HostCsr given_of = transpose(given);
  std::vector<LikeBundle> bundles;
  for (const Items& items : sets) {
    if (lies_within(given_of, items)) {
      ++result.n_copies;
    } else {
      bundles.push_back(as_like_bundle(items, scorer, session.catalog));
    }
  }
  // The set's order decides between equals.
  std::ranges::stable_sort(bundles, std::ranges::greater{}, &LikeBundle::affinity);
  result.bundles = choose(bundles, quota, config.search.max_overlap, n_items);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace sheaf::app
