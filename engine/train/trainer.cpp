#include "engine/train/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/train/sampled_epoch.hpp"
#include "engine/train/softmax_epoch.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

// Device copies of all parameters.
class Snapshot {
 public:
  Snapshot(Context& context, const Trainable& model) : context_(context), model_(model) {
    for (Parameter* p : model.parameters) copies_.emplace_back(context, p->value.size());
    take();
  }
  void take() {
    for_each([&](Parameter& p, Buffer<float>& copy) { context_.copy(copy.data(), p.value.data(), bytes(p)); });
  }
  void restore() {
    for_each([&](Parameter& p, Buffer<float>& copy) { context_.copy(p.value.data(), copy.data(), bytes(p)); });
  }

 private:
  static size_t bytes(const Parameter& p) { return static_cast<size_t>(p.value.size()) * sizeof(float); }
  template <class F>
  void for_each(F&& f) {
    size_t i = 0;
    for (Parameter* p : model_.parameters) f(*p, copies_[i++]);
  }
  Context& context_;
  const Trainable& model_;
  std::vector<Buffer<float>> copies_;
};

void check_params(const TrainParams& params, const HostCsr& train_items) {
  if (params.epochs < 1 || params.batch < 1 || params.negatives < 1 || params.validate_every < 1) {
    throw UsageError("epochs, batch, negatives and validate_every must each be at least 1", "see `sheaf config`");
  }
  if (params.dropout < 0 || params.dropout >= 1) throw UsageError("dropout must be in [0, 1)", "try 0.5");
  if (train_items.nnz() == 0) {
    throw DataError("there are no training purchases", "check the cleaning report and the split of the import");
  }
}

[[noreturn]] void throw_diverged(const std::string& what, const TrainParams& params) {
  throw DataError(what, "lower model.learning_rate (now " + std::to_string(params.learning_rate) + ")");
}

// A loss is that of the parameters before its step, so the last step has none. While the sum of a table's squares is a
// float, so is the product of any two rows (Cauchy and Schwarz).
void check_parameters(const Trainable& model, const TrainParams& params) {
  for (const Parameter* p : model.parameters) {
    double squares = 0;
    for (const float x : p->value.to_host()) squares += static_cast<double>(x) * static_cast<double>(x);
    if (!(squares <= static_cast<double>(std::numeric_limits<float>::max()))) {
      throw_diverged("the trained values of " + p->name + " are not finite or too large to score with", params);
    }
  }
}

}  // namespace

TrainReport train(Context& context, const Trainable& model, const std::function<std::unique_ptr<Epoch>()>& make_epoch,
                  const HostCsr& train_items, const HostCsr& validation_items, const TrainParams& params,
                  const std::function<void(const EpochReport&)>& on_epoch) {
  check_params(params, train_items);
  const std::unique_ptr<Epoch> training = make_epoch();
  const RankingEvaluator validation(context, validation_items, params.mask_seen ? &train_items : nullptr);
  Snapshot best(context, model);

  TrainReport report;
  double best_ndcg = -1;
  for (int64_t epoch = 1; epoch <= params.epochs; ++epoch) {
    EpochReport current;
    current.epoch = epoch;
    current.train_loss = training->run(epoch);
    if (!std::isfinite(current.train_loss)) {
      throw_diverged("the training loss is not finite in epoch " + std::to_string(epoch), params);
    }
    if (epoch % params.validate_every == 0 || epoch == params.epochs) {
      const RankingSummary summary = validation.of_scorer(context, *model.scorer(), params.validation_k);
      current.validation_ndcg = summary.ndcg;
      current.validation_recall = summary.recall;
      const bool judge = params.patience > 0 && !std::isnan(summary.ndcg);
      current.best = !judge || summary.ndcg > best_ndcg;
      if (current.best) {
        best_ndcg = summary.ndcg;
        report.best_epoch = epoch;
        best.take();
      }
      report.stopped_early = judge && epoch - report.best_epoch >= params.patience * params.validate_every;
    }
    report.epochs.push_back(current);
    if (on_epoch) on_epoch(current);
    if (report.stopped_early) break;
  }
  best.restore();
  context.synchronize();
  check_parameters(model, params);
  return report;
}

}  // namespace sheaf
