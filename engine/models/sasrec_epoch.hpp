#pragma once
/// An epoch of a transformer: every stretch of every history once, in batches (engine/models/sasrec_step.hpp).

#include <memory>

#include "engine/layers/transformer.hpp"
#include "engine/train/epoch.hpp"
#include "engine/train/pair_tables.hpp"
#include "engine/train/trainer.hpp"

namespace sheaf {

/// UsageError for a loss that the transformer has not, DataError where no purchase follows another.
std::unique_ptr<Epoch> make_transformer_epoch(Context& context, PairTables& model, Transformer& transformer,
                                              const HostCsr& train_items, const History& history,
                                              const TrainParams& params);

}  // namespace sheaf
