#pragma once
/// The scorer of `complete` and of `search --like`: learned from given bundles, or from the training baskets.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/bundles/completion.hpp"
#include "host/app/dataset.hpp"
#include "host/config/config.hpp"
#include "host/data/bundle_file.hpp"

namespace sheaf::app {

class Session;

/// With complete.shrinkage = 0: 0.25 for bundles that people made, 10 for baskets. Both were chosen on validation
/// (engine/bundles/README.md).
CompletionParams completion_params(const config::Config& config, bool given_bundles);

/// Learns from `given`, or where there is none from the training baskets; and from the items' words.
CompletionScorer completion_scorer(const Session& session, const data::GivenBundles* given);

/// complete.user_weight * P(user, i) of every item, [n_items]: best_items adds it to the scores. DataError for a chance
/// that is not finite.
std::vector<double> user_prior(const Session& session, int32_t user);

/// "1,400 given bundles, 0 of 3,499 items are unknown"
std::string given_text(const data::GivenBundles& given);

}  // namespace sheaf::app
