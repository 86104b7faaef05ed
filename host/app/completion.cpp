#include "host/app/completion.hpp"

#include <fmt/format.h>

#include <cmath>

#include "engine/bundles/text_vectors.hpp"
#include "host/app/session.hpp"
#include "host/data/item_words.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {

CompletionParams completion_params(const config::Config& config, bool given_bundles) {
  constexpr double kOfBundles = 0.25, kOfBaskets = 10.0;
  CompletionParams params;
  params.text_weight = config.complete.text_weight;
  params.shrinkage = config.complete.shrinkage;
  if (params.shrinkage == 0.0) params.shrinkage = given_bundles ? kOfBundles : kOfBaskets;
  return params;
}

CompletionScorer completion_scorer(const Session& session, const data::GivenBundles* given) {
  const Range range("learn completions");
  const HostCsr bundles =
      given == nullptr ? session.purchases.train_baskets : given->matrix(session.prepared.n_items, 2);
  return CompletionScorer(bundles, tf_idf(data::item_words(session.prepared)),
                          completion_params(session.config(), given != nullptr));
}

std::vector<double> user_prior(const Session& session, int32_t user) {
  const int64_t n = session.prepared.n_items;
  const std::vector<double> chances =
      pair_probabilities(session.context(), session.scorer(), Queries(session.context(), {user}), all_ids(n), n);
  std::vector<double> prior;
  for (const double chance : chances) {
    if (!std::isfinite(chance)) {
      throw DataError(fmt::format("the model gives user '{}' no finite chance of item '{}'",
                                  session.prepared.user_ids[user], session.prepared.item_ids[std::ssize(prior)]),
                      "train the model again, with a smaller model.learning_rate");
    }
    prior.push_back(session.config().complete.user_weight * chance);
  }
  return prior;
}

std::string given_text(const data::GivenBundles& given) {
  std::string text =
      fmt::format("{} given bundles, {} of {} items are unknown", given.names.size(), given.n_unknown, given.n_items);
  if (given.n_unknown > 0) text += ", the first is " + given.first_unknown;
  return text;
}

}  // namespace sheaf::app
