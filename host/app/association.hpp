#pragma once
/// Which items belong together, by the settings of [associate].

#include <string>

#include "engine/associate/association.hpp"
#include "engine/bundles/bundle_search.hpp"
#include "engine/models/preference.hpp"
#include "host/app/dataset.hpp"
#include "host/config/config.hpp"

namespace sheaf::app {

struct Dataset;

/// Whether associate.by compares learned vectors (cosine, gcn) instead of counting baskets.
bool is_learned(const config::Config& config);

/// What associate.by compares, [n_items, dim]: the model's item vectors, for gcn after associate.layers steps over the graph of
/// training purchases. DataError that names the first item whose vector is not finite.
Buffer<float> association_vectors(Context& context, const Dataset& dataset, const PreferenceModel& model,
                                  const config::Config& config);
/// Of the learned cosines: 1 / dim, or 1 for associate.scale = none.
float association_scale(const PreferenceModel& model, const config::Config& config);

/// associate.category_rule with names resolved. DataError for an unknown category, with the nearest known one.
PairRule pair_rule(const data::Prepared& prepared, const config::Config& config);

/// Partners by config.associate; `model` may be null unless is_learned.
Partners associate(Context& context, const Dataset& dataset, const PreferenceModel* model, const PairCounts& counts,
                   const config::Config& config, int64_t k);

/// [anchors, at most search.candidates - 1] partners of anchors by config.associate, -1 for none: of the best 256 those that the search may take.
std::vector<int32_t> search_partners(Context& context, const Dataset& dataset, const PreferenceModel& model,
                                     const PairCounts& counts, const SearchParams& params, const config::Config& config,
                                     const std::vector<int32_t>& anchors);

/// What a search knows of the items, with A(i, j) by config.associate. UsageError for conviction, which has no upper end.
SearchSpace search_space(Context& context, const Dataset& dataset, const PreferenceModel& model,
                         const PairCounts& counts, const SearchParams& params, const config::Config& config);

/// Pairs that stand together in at least `min_count` training baskets.
PairCounts count_training_pairs(Context& context, const Dataset& dataset, int64_t min_count);

}  // namespace sheaf::app
