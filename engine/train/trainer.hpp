#pragma once
/// Trains a preference model on the device: batches, negatives, forward, loss, backward and update never leave it. The
/// host sees a loss an epoch and a validation figure now and then.

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/models/preference.hpp"

namespace sheaf {

struct TrainParams {
  LossKind loss = LossKind::softmax;
  int64_t epochs = 200;         // at most
  float learning_rate = 0.02f;  // of Adam
  float weight_decay = 0.003f;  // decoupled (AdamW)
  int64_t validate_every = 5;   // epochs
  int64_t patience = 6;         // validations without a better NDCG; 0 trains all epochs and keeps the last
  int64_t validation_k = 10;
  bool mask_seen = false;  // validation ranks only items that are new to the user
  uint64_t seed = 1;
  // BPR and BCE alone:
  int64_t batch = 2048;
  int64_t negatives = 8;         // a positive
  float dropout = 0.5f;          // on both embedding vectors; of a transformer on its parts and weights of attention
  float positive_weight = 1.0f;  // BCE only
  float weight_power = 0.0f;     // a pair of weight w counts w^weight_power (mean 1)
  bool popularity_negatives = false;
  // The transformer alone:
  int64_t sequences = 64;           // stretches of histories a step
  int64_t horizon = 20;             // purchases of later baskets that a query is to foresee
  int64_t shared_negatives = 1024;  // draws of a step, for the sampled softmax
};

struct EpochReport {
  int64_t epoch = 0;                                                  // from 1
  double train_loss = 0;                                              // mean over the epoch's steps
  double validation_ndcg = std::numeric_limits<double>::quiet_NaN();  // NaN where there was no validation
  double validation_recall = std::numeric_limits<double>::quiet_NaN();
  bool best = false;
};

struct TrainReport {
  std::vector<EpochReport> epochs;
  int64_t best_epoch = 0;
  bool stopped_early = false;
};

/// train_items.values are the weights of the purchases (how often, how recently); empty means 1. `model` ends with the parameters of
/// the best validated epoch. A transformer learns from `history`, the same purchases in their order; the other models do not look at it.
/// Throws Interrupted between steps.
TrainReport train(Context& context, PreferenceModel& model, const HostCsr& train_items, const HostCsr& validation_items,
                  const TrainParams& params, const std::function<void(const EpochReport&)>& on_epoch = {},
                  const History& history = {});

}  // namespace sheaf
