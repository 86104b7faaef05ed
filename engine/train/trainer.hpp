#pragma once
/// Trains a model on the device: batches, negatives, forward, loss, backward and update never leave it. The host sees a
/// loss an epoch and a validation figure now and then.

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/csr.hpp"
#include "engine/layers/parameter.hpp"
#include "engine/scoring/scorer.hpp"
#include "engine/train/epoch.hpp"
#include "engine/train/train_settings.hpp"

namespace sheaf {

struct EpochReport {
  int64_t epoch = 0;                                             // from 1; of a closed form the number of the try
  std::string what;                                              // of a closed form: what was tried, "ease.l2 = 500"
  double train_loss = std::numeric_limits<double>::quiet_NaN();  // mean over the epoch's steps; NaN of a closed form
  double validation_ndcg = std::numeric_limits<double>::quiet_NaN();  // NaN where there was no validation
  double validation_recall = std::numeric_limits<double>::quiet_NaN();
  bool best = false;
};

struct TrainReport {
  std::vector<EpochReport> epochs;
  int64_t best_epoch = 0;
  bool stopped_early = false;
};

/// What the trainer needs of a model.
struct Trainable {
  std::vector<Parameter*> parameters;
  std::function<std::unique_ptr<Scorer>()> scorer;  // of the parameters as they are now
};

/// Runs epochs. train_items.values are the weights of the purchases (how often, how recently); empty means 1. The
/// parameters end as those of the best validated epoch. Throws Interrupted between steps; UsageError for settings out
/// of range.
TrainReport train(Context& context, const Trainable& model, const std::function<std::unique_ptr<Epoch>()>& make_epoch,
                  const HostCsr& train_items, const HostCsr& validation_items, const TrainParams& params,
                  const std::function<void(const EpochReport&)>& on_epoch = {});

}  // namespace sheaf
