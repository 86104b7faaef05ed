#include "engine/train/trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
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
  std::vector<Buffer<float>>& copies() { return copies_; }

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

std::string diverged_text(int64_t epoch, int64_t steps) {
  std::string text = "the training loss is not finite in epoch " + std::to_string(epoch);
  return steps > 0 ? text + ", by step " + std::to_string(steps) : text;
}

[[noreturn]] void throw_diverged(const std::string& what, const TrainParams& params) {
  throw DataError(what, "lower model.learning_rate (now " + std::to_string(params.rule.learning_rate) + ")");
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

// The first parameter that is not finite, for a message.
std::string first_not_finite(const Trainable& model) {
  for (const Parameter* p : model.parameters) {
    const std::vector<float> values = p->value.to_host();
    if (!std::ranges::all_of(values, [](float x) { return std::isfinite(x); })) return ": " + p->name + " is not";
  }
  return "";
}

// A training as it is between two epochs.
TrainState state_of(const Trainable& model, Snapshot& best, const TrainReport& report, double best_ndcg,
                    int64_t steps) {
  TrainState state{.report = report, .best_ndcg = best_ndcg, .steps = steps, .finished = false, .tables = {}};
  for (size_t t = 0; t < model.parameters.size(); ++t) {
    const Parameter& p = *model.parameters[t];
    state.tables.push_back({p.name, p.rows, p.cols, p.value.to_host(), p.moment1.to_host(), p.moment2.to_host(),
                            best.copies()[t].to_host()});
  }
  return state;
}

void take_up(const TrainState& state, const Trainable& model, Snapshot& best) {
  for (size_t t = 0; t < model.parameters.size(); ++t) {
    Parameter& p = *model.parameters[t];
    const auto size = static_cast<size_t>(p.value.size());
    const bool fits = t < state.tables.size() && state.tables[t].name == p.name &&
                      state.tables[t].value.size() == size && state.tables[t].best.size() == size &&
                      std::ssize(state.tables[t].moment1) == p.moment1.size() &&
                      std::ssize(state.tables[t].moment2) == p.moment2.size();
    if (!fits || state.tables.size() != model.parameters.size()) {
      throw DataError("a checkpoint does not fit the parameter " + p.name, "train without --resume");
    }
  }
  for (size_t t = 0; t < model.parameters.size(); ++t) {
    Parameter& p = *model.parameters[t];
    p.value.assign(state.tables[t].value);
    if (p.moment1.size() > 0) p.moment1.assign(state.tables[t].moment1);
    if (p.moment2.size() > 0) p.moment2.assign(state.tables[t].moment2);
    best.copies()[t].assign(state.tables[t].best);
  }
}

// Keeps states: of the last epoch in memory, once a second at most, and in the checkpoints when that is due.
class Keeper {
 public:
  explicit Keeper(Checkpoints* checkpoints) : checkpoints_(checkpoints) {}

  template <class MakeState>
  void after_epoch(bool finished, MakeState&& make) {
    if (checkpoints_ == nullptr) return;
    const auto now = std::chrono::steady_clock::now();
    const bool due = checkpoints_->due();
    if (!due && now - taken_ < std::chrono::seconds(1)) return;
    last_ = make();
    last_->finished = finished;
    taken_ = now;
    if (due) put();
  }
  void on_interrupt() {
    if (last_ && checkpoints_->due_at_the_end()) put();
  }

 private:
  void put() {
    checkpoints_->put(*last_);
    last_.reset();
  }
  Checkpoints* checkpoints_;
  std::optional<TrainState> last_;  // not yet put
  std::chrono::steady_clock::time_point taken_ = std::chrono::steady_clock::now();
};

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
  bool finished = false;
  if (params.checkpoints != nullptr) {
    if (const std::optional<TrainState> state = params.checkpoints->begin()) {
      take_up(*state, model, best);
      training->set_steps(state->steps);
      report = state->report;
      best_ndcg = state->best_ndcg;
      finished = state->finished;
    }
  }
  Keeper keeper(params.checkpoints);
  try {
    for (int64_t epoch = std::ssize(report.epochs) + 1; epoch <= params.epochs && !finished; ++epoch) {
      EpochReport current;
      current.epoch = epoch;
      training->set_plateau_share(params.rule.schedule.plateau_share(report));
      current.train_loss = training->run(epoch);
      current.learning_rate = static_cast<double>(training->learning_rate());
      if (!std::isfinite(current.train_loss)) {
        throw_diverged(diverged_text(epoch, training->steps()) + first_not_finite(model), params);
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
      finished = report.stopped_early || epoch == params.epochs;
      keeper.after_epoch(finished, [&] { return state_of(model, best, report, best_ndcg, training->steps()); });
      if (on_epoch) on_epoch(current);
    }
  } catch (const Interrupted&) {
    keeper.on_interrupt();
    throw;
  }
  best.restore();
  context.synchronize();
  check_parameters(model, params);
  return report;
}

}  // namespace sheaf
