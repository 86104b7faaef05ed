#include "host/app/training.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "engine/models/registry.hpp"
#include "engine/scoring/calibration.hpp"
#include "host/app/learned_rows.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {
namespace {

using Clock = std::chrono::steady_clock;

/// Without a validation period: what a model chose that did not see the newest tenth of the training baskets, and its
/// calibration.
struct HeldBack {
  int64_t n_baskets = 0;
  std::map<std::string, double> chosen;
  Calibration calibration;
};

/// The data with the newest `count` training baskets as validation. Baskets are numbered by their first lines; among
/// equal times the later ones are newer. Lines of a basket stay together.
data::Prepared without_newest(const data::Prepared& all, int64_t count) {
  std::vector<int64_t> first(static_cast<size_t>(all.n_baskets), std::numeric_limits<int64_t>::max());
  for (size_t i = 0; i < all.basket.size(); ++i) {
    int64_t& line = first[static_cast<size_t>(all.basket[i])];
    if (all.split[i] == data::kTrain) line = std::min(line, static_cast<int64_t>(i));
  }
  std::vector<int64_t> order;
  for (const int64_t line : first) {
    if (line != std::numeric_limits<int64_t>::max()) order.push_back(line);
  }
  std::ranges::sort(order);
  const int64_t from = order[order.size() - static_cast<size_t>(count)];
  data::Prepared rest = all;
  for (size_t i = 0; i < rest.basket.size(); ++i) {
    if (rest.split[i] == data::kTrain && first[static_cast<size_t>(rest.basket[i])] >= from) {
      rest.split[i] = data::kValidation;
    }
  }
  return rest;
}

HeldBack train_on_the_rest(const Session& session, const std::function<void(const std::string&)>& on_note,
                           Checkpoints* checkpoints) {
  constexpr int64_t kShare = 10, kFewest = 10;
  const int64_t count = std::ssize(session.purchases.train_basket_time) / kShare;
  if (count < kFewest) return {};
  config::Config config = session.config();
  config.model.refit = "none";
  Session rest(session.context(), config, without_newest(session.prepared, count));
  const Training training = train_model(rest, {}, on_note, checkpoints);
  return {count, training.report.chosen, rest.model().calibration};
}

/// Fits a model anew, with what was chosen before, to the training lines and those after them.
void learn_again(Session& session, Training& training, const std::function<void(const std::string&)>& on_note,
                 Checkpoints* checkpoints) {
  const config::Config& config = session.config();
  const bool all = config.model.refit == "all";
  data::Prepared lines = with_later_lines(session.prepared, all);
  const int64_t n = std::ranges::count(lines.split, data::kTrain);
  if (config.model.refit == "none") return;
  if (n == std::ranges::count(session.prepared.split, data::kTrain)) {
    if (on_note) on_note("model.refit = " + config.model.refit + " changes nothing: the data has no later lines");
    return;
  }
  const Session whole(session.context(), config, std::move(lines));
  std::unique_ptr<Recommender> model = make_recommender(config.model.preference);
  apply_settings(model->settings(), config.model_settings);
  model->fit(session.context(),
             {.n_users = whole.prepared.n_users, .catalog = session.catalog, .purchases = whole.purchases},
             {.seed = static_cast<uint64_t>(config.run.seed),
              .mask_seen = config.evaluate.mask_seen,
              .chosen = training.report.chosen,
              .checkpoints = checkpoints});
  const Calibration calibration = session.model().calibration;
  session.set_model(std::move(model));
  session.model().calibration = calibration;
  training.learned_from = learned_rows(whole.prepared);
  training.refitted_lines = n;
  session.knows_validation = session.purchases.validation.nnz() > 0;
}

}  // namespace

Training train_model(Session& session, const std::function<void(const EpochReport&)>& on_epoch,
                     const std::function<void(const std::string&)>& on_note, Checkpoints* checkpoints) {
  const Range range("train");
  check_interrupt("training");
  const auto start = Clock::now();
  const config::Config& config = session.config();
  const Purchases& purchases = session.purchases;
  HeldBack held;
  if (purchases.validation.nnz() == 0) held = train_on_the_rest(session, on_note, checkpoints);
  std::unique_ptr<Recommender> model = make_recommender(config.model.preference);
  apply_settings(model->settings(), config.model_settings);
  Training training;
  training.report = model->fit(
      session.context(), {.n_users = session.prepared.n_users, .catalog = session.catalog, .purchases = purchases},
      {.seed = static_cast<uint64_t>(config.run.seed),
       .mask_seen = config.evaluate.mask_seen,
       .validation_k = 10,
       .on_epoch = on_epoch,
       .on_note = held.n_baskets > 0 ? nullptr : on_note,  // the first model has told it
       .chosen = held.chosen,
       .checkpoints = checkpoints});
  session.set_model(std::move(model));
  session.model().calibration =
      held.n_baskets > 0
          ? held.calibration
          : calibrate(session.context(), *session.model().scorer(session.context()), purchases.validation);
  training.learned_from = learned_rows(session.prepared);
  learn_again(session, training, on_note, checkpoints);
  training.held_back_baskets = held.n_baskets;
  training.calibrated = held.n_baskets > 0 || purchases.validation.nnz() > 0;
  training.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return training;
}

}  // namespace sheaf::app
