#pragma once
/// Trains a model on the device: batches, negatives, forward, loss, backward and update never leave it. The host sees a
/// loss an epoch and a validation figure now and then.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/data/csr.hpp"
#include "engine/layers/parameter.hpp"
#include "engine/scoring/scorer.hpp"
#include "engine/train/checkpoints.hpp"
#include "engine/train/epoch.hpp"
#include "engine/train/train_report.hpp"
#include "engine/train/train_settings.hpp"

namespace sheaf {

/// What the trainer needs of a model.
struct Trainable {
  std::vector<Parameter*> parameters;
  std::function<std::unique_ptr<Scorer>()> scorer;  // of the parameters as they are now
};

/// Runs epochs. train_items.values are the weights of the purchases (how often, how recently); empty means 1. The
/// parameters end as those of the best validated epoch. With params.checkpoints, a training that was begun before goes
/// on where it ended. Throws Interrupted between steps, after the last epoch is kept if that is due; UsageError for
/// settings out of range; DataError with the step and the first parameter that is not finite.
TrainReport train(Context& context, const Trainable& model, const std::function<std::unique_ptr<Epoch>()>& make_epoch,
                  const HostCsr& train_items, const HostCsr& validation_items, const TrainParams& params,
                  const std::function<void(const EpochReport&)>& on_epoch = {});

}  // namespace sheaf
