#pragma once
/// New bundles for the catalog like those that people made: `search --like`.
///
/// Around every item one bundle problem is solved for each size that the given bundles have (a size beyond
/// search.min_size .. max_size counts as the nearest within). Its pair terms are the affinities of
/// engine/bundles/completion.hpp. Of all sets that the searches find, those with the highest mean affinity over their
/// pairs are taken; each size has the share that it has among the given bundles. Left out are copies of given bundles,
/// sets that lie within one, and sets that share more than search.max_overlap items with a bundle already taken.
/// search.budget, must_have, forbidden, categories, candidates and bundles count as for other searches.
/// search.min_categories does not, because many bundles of people have one category.

#include <cstdint>
#include <vector>

#include "engine/bundles/bundle_search.hpp"
#include "engine/bundles/completion.hpp"
#include "host/app/search_params.hpp"
#include "host/app/session.hpp"

namespace sheaf::app {

/// A new bundle.
struct LikeBundle {
  std::vector<int32_t> items;  // ascending
  double affinity = 0.0;       // mean of A(i, j) over its pairs
  double price = 0.0;          // sum of its items' prices
  int64_t known_pairs = 0;     // of its pairs, those that a given bundle holds
};

struct LikeSearch {
  std::vector<LikeBundle> bundles;  // by affinity, highest first
  int64_t n_searches = 0;
  int64_t n_copies = 0;  // different sets found that were copies of given bundles or lie within one
  double seconds = 0.0;
};

/// given: [bundles, items] pattern, the one that the scorer learned from. DataError if nothing meets the constraints.
LikeSearch search_like(const Session& session, const CompletionScorer& scorer, const HostCsr& given);

}  // namespace sheaf::app
