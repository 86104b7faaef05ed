#include "engine/models/choose.hpp"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "engine/evaluate/ranking_eval.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

std::vector<double> values_to_try(const Choice& choice, const FitOptions& options, bool can_judge) {
  if (choice.given > 0.0) return {choice.given};
  const auto chosen = options.chosen.find(choice.key);
  if (chosen != options.chosen.end()) return {chosen->second};
  if (can_judge) return {choice.tries.begin(), choice.tries.end()};
  return {choice.usual};
}

}  // namespace

FitReport choose_on_validation(Context& context, const TrainData& data, const FitOptions& options, const Choice& choice,
                               const std::function<std::unique_ptr<Scorer>(double)>& learn,
                               const std::function<void()>& keep) {
  const Purchases& purchases = data.purchases;
  const bool can_judge = purchases.validation.nnz() > 0;
  const std::vector<double> tries = values_to_try(choice, options, can_judge);
  const RankingEvaluator validation(context, purchases.validation, options.mask_seen ? &purchases.train : nullptr);
  FitReport report;
  double best = -1.0;
  for (const double value : tries) {
    check_interrupt("training");
    const std::unique_ptr<Scorer> scorer = learn(value);
    EpochReport now;
    now.epoch = std::ssize(report.epochs) + 1;
    now.what = fmt::format("{}.{} = {:g}", choice.section, choice.key, value);
    if (can_judge) {
      const RankingSummary summary = validation.of_scorer(context, *scorer, options.validation_k);
      now.validation_ndcg = summary.ndcg;
      now.validation_recall = summary.recall;
    }
    // NaN: all of the validation is masked.
    now.best =
        tries.size() == 1 || (std::isnan(now.validation_ndcg) ? value == choice.usual : now.validation_ndcg > best);
    if (now.best) {
      best = now.validation_ndcg;
      report.best_epoch = now.epoch;
      report.chosen[choice.key] = value;
      keep();
    }
    report.epochs.push_back(now);
    if (options.on_epoch) options.on_epoch(now);
  }
  return report;
}

}  // namespace sheaf
