#pragma once
/// Which items belong together, by the settings of [associate].

#include <string>

#include "engine/associate/association.hpp"
#include "engine/bundles/bundle_search.hpp"
#include "host/app/session.hpp"
#include "host/config/config.hpp"

namespace sheaf::app {

/// Whether `by` compares learned vectors (cosine, gcn) instead of counting baskets.
bool is_learned(const std::string& by);

/// "no basket of shop has two items, so nothing is bought together"; empty where one has, or where a search goes by
/// what users buy: affinity by a learned measure.
std::string no_pairs(const Session& session);
inline constexpr const char* kNoPairsMend =
    "search.objective = affinity with associate.by = cosine or gcn goes by what the same users buy; or import again "
    "with baskets that hold what a user buys at one visit (columns.basket, columns.timestamp)";

/// Of the learned cosines of vectors of `dim`: 1 / dim, or 1 for associate.scale = none.
float association_scale(int64_t dim, const config::Config& config);

/// associate.category_rule with names resolved. DataError for an unknown category, with the nearest known one.
PairRule pair_rule(const data::Prepared& prepared, const config::Config& config);

/// Partners by [associate], the k best of each item. Learned ones need the session's model.
Partners associate(const Session& session, const PairCounts& counts, int64_t k);

/// The same without the counts of all pairs in memory: partners, and the counts of those that are listed.
CountedPartners associate_and_count(const Session& session, int64_t k);

/// [anchors, at most search.candidates - 1] partners of anchors by [associate]: those of the best 256 that the search
/// may take, -1 for none.
std::vector<int32_t> search_partners(const Session& session, const SearchParams& params,
                                     const std::vector<int32_t>& anchors);

/// What a search knows of the items, with A(i, j) by [associate]. UsageError for conviction, which has no upper end.
SearchSpace search_space(const Session& session, const SearchParams& params);

}  // namespace sheaf::app
