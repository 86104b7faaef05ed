#pragma once
/// How learned parameters are stepped: the optimizer and the schedule of its learning rate, with their settings as
/// `sheaf config` shows them.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/settings.hpp"
#include "engine/train/train_report.hpp"
#include "kernels/core/optimizer.hpp"

namespace sheaf {

/// What the learning rate is multiplied by. With E the epochs of the setting, e those that are done at the start of a
/// step, with the share of the current one, and d at its end:
///
///   warm-up  min(1, d / warmup), times
///   cosine   (1 + cos(pi (e - warmup) / (E - warmup))) / 2, from the end of the warm-up (Loshchilov and Hutter, 2017)
///   steps    factor^floor(e / every)
///   plateau  factor^(times that `patience` validations in a row brought no better NDCG)
struct Schedule {
  enum class Decay { constant, cosine, steps, plateau };
  Decay decay = Decay::constant;
  double warmup = 0.0;   // epochs
  int64_t epochs = 200;  // E
  int64_t every = 20;    // epochs
  double factor = 0.5;
  int64_t patience = 2;
  std::vector<double> given_decays;  // plateau: epochs after which the rate fell in an earlier training, to fall again

  /// Of step number `step` of the `n_steps` of an epoch, which counts from 1; without what a plateau does.
  double share(int64_t epoch, int64_t step, int64_t n_steps) const;
  /// Of a plateau, the epochs of the report after which the rate fell; no epochs of other schedules.
  std::vector<double> decays(const TrainReport& report) const;
  /// What a plateau does to the epoch after those of the report.
  double plateau_share(const TrainReport& report) const;
};

struct StepRule {
  Optimizer optimizer = Optimizer::adam;
  bool decoupled = true;        // adam: decay beside the moments (AdamW), not L2 in the gradient
  float learning_rate = 0.02f;  // at most
  float weight_decay = 0.003f;
  float momentum = 0.9f;  // of Optimizer::momentum
  bool nesterov = false;  // of Optimizer::momentum

  float clip_norm = 0.0f;  // of the gradients of all dense parameters together; 0: as they are
  Schedule schedule = {};

  OptimizerParams params(float rate, int64_t step) const;
};

/// Settings of a section, for StepRule.
struct StepSettings {
  std::string optimizer = "adamw";
  double learning_rate = 0.0;  // 0: the usual one of the loss and the optimizer
  double weight_decay = -1.0;  // below 0: the usual one of the optimizer
  double momentum = 0.9;
  bool nesterov = false;
  double clip_norm = 0.0;
  std::string schedule = "constant";
  double warmup_epochs = 0.0;
  int64_t decay_every = 20;
  double decay_factor = 0.5;
  int64_t decay_patience = 2;

  /// Words of which numbers are usual.
  std::vector<Setting> describe(const std::string& usual_rates, const std::string& usual_decays);
  /// The usual numbers are those of adamw: other optimizers have rates of their own in proportion to it, and no decay.
  /// `epochs` are those of the setting.
  StepRule rule(double usual_learning_rate, double usual_weight_decay, int64_t epochs) const;
};

}  // namespace sheaf
