#include "host/app/completion.hpp"

#include <fmt/format.h>

#include <cmath>

#include "engine/bundles/text_vectors.hpp"
#include "host/app/pipeline.hpp"
#include "host/text/item_words.hpp"
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

CompletionScorer completion_scorer(const Dataset& dataset, const config::Config& config,
                                   const data::GivenBundles* given) {
  const Range range("learn completions");
  const HostCsr bundles =
      given == nullptr ? dataset.purchases.train_baskets : given->matrix(dataset.prepared.n_items, 2);
  return CompletionScorer(bundles, tf_idf(text::item_words(dataset.prepared)),
                          completion_params(config, given != nullptr));
}

std::vector<double> user_prior(Context& context, const LinearScorer& probabilities, const Dataset& dataset,
                               const config::Config& config, int32_t user) {
  const int64_t n = probabilities.n_items;
  const std::vector<float> logits = pair_logits(context, probabilities, {user}, all_ids(n), n);
  std::vector<double> prior;
  for (const float logit : logits) {
    const double chance = 1.0 / (1.0 + std::exp(-static_cast<double>(logit)));
    if (!std::isfinite(chance)) {
      throw DataError(fmt::format("the model gives user '{}' no finite chance of item '{}'",
                                  dataset.prepared.user_ids[user], dataset.prepared.item_ids[std::ssize(prior)]),
                      "train the model again, with a smaller model.learning_rate");
    }
    prior.push_back(config.complete.user_weight * chance);
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
