#include "engine/train/step_rule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/data/nearest.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

/// An optimizer as people name it. Its usual learning rate is that of adamw times `rate`.
struct NamedOptimizer {
  const char* name;
  Optimizer optimizer;
  double rate;
};
constexpr NamedOptimizer kOptimizers[] = {{"adamw", Optimizer::adam, 1.0},
                                          {"adam", Optimizer::adam, 1.0},
                                          {"rmsprop", Optimizer::rmsprop, 0.1},
                                          {"adagrad", Optimizer::adagrad, 2.5},
                                          {"sgd", Optimizer::momentum, 15.0}};

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const NamedOptimizer& known : kOptimizers) names.emplace_back(known.name);
  return names;
}

const NamedOptimizer& optimizer_of(const std::string& name) {
  for (const NamedOptimizer& known : kOptimizers) {
    if (name == known.name) return known;
  }
  throw UsageError("there is no optimizer '" + name + "'",
                   "did you mean '" + text::nearest(name, optimizer_names()) + "'?");
}

constexpr const char* kSchedules[] = {"constant", "cosine", "steps", "plateau"};  // as Schedule::Decay

Schedule::Decay decay_of(const std::string& name) {
  const std::vector<std::string> names(std::begin(kSchedules), std::end(kSchedules));
  const auto at = std::ranges::find(names, name);
  if (at == names.end()) {
    throw UsageError("there is no schedule '" + name + "'", "did you mean '" + text::nearest(name, names) + "'?");
  }
  return static_cast<Schedule::Decay>(at - names.begin());
}

}  // namespace

double Schedule::share(int64_t epoch, int64_t step, int64_t n_steps) const {
  const auto at = [&](int64_t steps) {
    return static_cast<double>(epoch - 1) + static_cast<double>(steps) / static_cast<double>(n_steps);
  };
  const double done = at(step);
  double share = warmup > 0.0 ? std::min(1.0, at(step + 1) / warmup) : 1.0;
  if (decay == Decay::cosine) {
    const double rest = std::max(1.0, static_cast<double>(epochs) - warmup);
    share *= 0.5 + 0.5 * std::cos(std::numbers::pi * std::clamp((done - warmup) / rest, 0.0, 1.0));
  } else if (decay == Decay::steps) {
    share *= std::pow(factor, std::floor(done / static_cast<double>(every)));
  }
  return share;
}

std::vector<double> Schedule::decays(const TrainReport& report) const {
  std::vector<double> found;
  if (decay != Decay::plateau) return found;
  double best = -1.0;
  int64_t since = 0;
  for (const EpochReport& epoch : report.epochs) {
    if (std::isnan(epoch.validation_ndcg)) continue;
    if (epoch.validation_ndcg > best) {
      best = epoch.validation_ndcg;
      since = 0;
    } else if (++since == patience) {
      found.push_back(static_cast<double>(epoch.epoch));
      since = 0;
    }
  }
  return found;
}

double Schedule::plateau_share(const TrainReport& report) const {
  const auto n =
      given_decays.empty() ? std::ssize(decays(report)) : std::ranges::count_if(given_decays, [&](double epoch) {
        return epoch <= static_cast<double>(report.epochs.size());
      });
  return std::pow(factor, static_cast<double>(n));
}

OptimizerParams StepRule::params(float rate, int64_t step) const {
  const bool beside = optimizer == Optimizer::adam && decoupled;
  return {.learning_rate = rate,
          .weight_decay = beside ? 0.0f : weight_decay,
          .decoupled_decay = beside ? weight_decay : 0.0f,
          .step = step,
          .mu = momentum,
          .nesterov = nesterov};
}

std::vector<Setting> StepSettings::describe(const std::string& usual_rates, const std::string& usual_decays) {
  return {
      {"optimizer", "adamw: Adam, decay beside the moments; adam: decay as L2 in the gradient, as the others have it",
       &optimizer, optimizer_names()},
      {"learning_rate", "step size; 0 takes the usual one" + usual_rates, &learning_rate, 0.0, 10.0},
      {"weight_decay", "decay of the weights; -1 takes the usual one" + usual_decays, &weight_decay, -1.0, 10.0},
      {"momentum", "sgd: share of the last step that the next one keeps", &momentum, 0.0, 0.9999},
      {"nesterov", "sgd: look ahead along the momentum", &nesterov},
      {"clip_norm", "shrink gradients whose common norm is larger; 0: no", &clip_norm, 0.0, 1e9},
      {"schedule",
       "of the learning rate: constant; half a cosine to 0 over the epochs; in steps; or smaller when validation "
       "stands still",
       &schedule, std::vector<std::string>(std::begin(kSchedules), std::end(kSchedules))},
      {"warmup_epochs", "epochs, or a share of one, in which the learning rate rises from 0", &warmup_epochs, 0.0, 1e6},
      {"decay_every", "schedule steps: epochs of a step", &decay_every, 1, 1'000'000},
      {"decay_factor", "schedules steps and plateau: what the learning rate is multiplied by", &decay_factor, 1e-6,
       1.0},
      {"decay_patience", "schedule plateau: validations without a better NDCG before the learning rate falls",
       &decay_patience, 1, 1'000'000}};
}

StepRule StepSettings::rule(double usual_learning_rate, double usual_weight_decay, int64_t epochs) const {
  const NamedOptimizer& named = optimizer_of(optimizer);
  StepRule rule;
  rule.optimizer = named.optimizer == Optimizer::momentum && momentum <= 0.0 ? Optimizer::sgd : named.optimizer;
  rule.decoupled = optimizer == "adamw";
  rule.learning_rate = static_cast<float>(learning_rate > 0 ? learning_rate : usual_learning_rate * named.rate);
  const double usual_decay = rule.decoupled ? usual_weight_decay : 0.0;
  rule.weight_decay = static_cast<float>(weight_decay >= 0 ? weight_decay : usual_decay);
  rule.momentum = static_cast<float>(momentum);
  rule.nesterov = nesterov;
  rule.clip_norm = static_cast<float>(clip_norm);
  rule.schedule = {.decay = decay_of(schedule),
                   .warmup = warmup_epochs,
                   .epochs = epochs,
                   .every = decay_every,
                   .factor = decay_factor,
                   .patience = decay_patience,
                   .given_decays = {}};
  return rule;
}

}  // namespace sheaf
