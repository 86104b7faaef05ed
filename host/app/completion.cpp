#include "host/app/completion.hpp"

#include <fmt/format.h>

#include <cmath>

#include "engine/bundles/text_vectors.hpp"
#include "host/app/pipeline.hpp"
#include "host/text/item_words.hpp"
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

std::vector<double> user_prior(Context& context, const PreferenceModel& model, const config::Config& config,
                               int32_t user) {
  const LinearScorer scorer = probability_scorer(context, model.scorer(context));
  const std::vector<float> logits = pair_logits(context, scorer, {user}, all_ids(scorer.n_items), scorer.n_items);
  std::vector<double> prior;
  for (const float logit : logits) {
    prior.push_back(config.complete.user_weight / (1.0 + std::exp(-static_cast<double>(logit))));
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
