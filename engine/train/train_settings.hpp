#pragma once
/// How models with learned parameters are trained: the settings that they share, described for `sheaf config`, and what
/// they mean to an epoch.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/settings.hpp"
#include "engine/train/step_rule.hpp"

namespace sheaf {

class Checkpoints;

enum class LossKind { softmax, sampled_softmax, bpr, bce };

std::string_view to_string(LossKind loss);
/// UsageError that names the nearest of `allowed` for a loss that is not among them.
LossKind parse_loss(const std::string& text, const std::vector<LossKind>& allowed, std::string_view model);

/// The section [model].
struct TrainSettings {
  int64_t dim = 64;
  std::string loss = "softmax";
  int64_t epochs = 200;
  StepSettings step;
  int64_t validate_every = 0;  // 0: the usual one of the model
  int64_t patience = 6;
  bool item_features = false;
  int64_t batch = 2048;
  int64_t negatives = 8;
  double dropout = 0.5;
  double weight_power = 0.0;
  double rare_power = 0.0;
  std::string negative_sampling = "uniform";
  double popularity_power = 1.0;
  double positive_weight = 1.0;  // 0: balanced

  SettingGroup describe();
};

struct TrainParams {
  LossKind loss = LossKind::softmax;
  int64_t epochs = 200;  // at most
  StepRule rule = {};
  int64_t validate_every = 5;  // epochs
  int64_t patience = 6;        // validations without a better NDCG; 0 trains all epochs and keeps the last
  int64_t validation_k = 10;
  bool mask_seen = false;  // validation ranks only items that are new to the user
  uint64_t seed = 1;
  // BPR and BCE alone:
  int64_t batch = 2048;
  int64_t negatives = 8;         // a positive
  float dropout = 0.5f;          // on both embedding vectors; of networks over histories where these say
  float positive_weight = 1.0f;  // BCE only
  float weight_power = 0.0f;     // a pair of weight w counts w^weight_power (mean 1)
  float rare_power = 0.0f;       // purchases are drawn in proportion to (purchases of their item)^-this; 0: each once
  bool popularity_negatives = false;
  float popularity_power = 1.0f;  // these are drawn in proportion to (purchases of the item)^this
  // Networks over histories alone:
  int64_t sequences = 64;              // stretches of histories a step
  int64_t horizon = 20;                // purchases of later baskets that are the targets of a query
  int64_t shared_negatives = 1024;     // draws of a step, for the sampled softmax
  Checkpoints* checkpoints = nullptr;  // states are kept there, and taken up again
  /// Called once, in the first epoch against the whole catalog, if its first part says that an epoch takes longer than
  /// `long_epoch` seconds: with the seconds that it will take.
  std::function<void(double)> on_long_epoch = {};
  double long_epoch = 30.0;
};

/// Of a purchase against one of the negatives drawn for it; a setting of 0 is balanced: as much as all of them.
double balanced_weight(double weight, int64_t negatives);

/// The settings as numbers for epochs; `usual_learning_rate` and `usual_validate_every` stand for the zeros.
TrainParams train_params(const TrainSettings& settings, LossKind loss, double usual_learning_rate,
                         int64_t usual_validate_every);

}  // namespace sheaf
