#pragma once
/// Trains a preference model on the device: batches, negatives, forward, loss, backward and update never leave it. The
/// host sees one loss and one validation figure an epoch.

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/models/preference.hpp"

namespace sheaf {

struct TrainParams {
  LossKind loss = LossKind::bpr;
  int64_t epochs = 40;
  int64_t batch = 2048;
  int64_t negatives = 8;  // a positive
  float learning_rate = 3e-3f;
  float weight_decay = 0.0f;
  float dropout = 0.5f;          // on both embedding vectors
  float positive_weight = 1.0f;  // BCE only
  float count_power = 0.0f;      // a pair bought c times weighs c^count_power (mean 1)
  bool popularity_negatives = false;
  int64_t patience = 5;  // epochs without a better validation NDCG; 0 trains all epochs and keeps the last
  int64_t validation_k = 10;
  bool mask_seen = true;  // validation ranks only items that are new to the user
  uint64_t seed = 1;
};

struct EpochReport {
  int64_t epoch = 0;           // from 1
  double train_loss = 0;       // mean over the epoch's batches
  double validation_ndcg = 0;  // NaN without validation purchases
  double validation_recall = 0;
  bool best = false;
};

struct TrainReport {
  std::vector<EpochReport> epochs;
  int64_t best_epoch = 0;
  bool stopped_early = false;
};

/// `model` ends with the parameters of the best epoch. Throws Interrupted between batches.
TrainReport train(Context& context, PreferenceModel& model, const HostCsr& train_items, const HostCsr& validation_items,
                  const TrainParams& params, const std::function<void(const EpochReport&)>& on_epoch = {});

}  // namespace sheaf
