#pragma once
/// An epoch of a network: every stretch of every history once, in batches (engine/models/sequence_step.hpp).

#include <memory>

#include "engine/layers/sequence_network.hpp"
#include "engine/train/epoch.hpp"
#include "engine/train/pair_tables.hpp"
#include "engine/train/trainer.hpp"

namespace sheaf {

/// UsageError for a loss that the network has not, DataError where no purchase follows another.
std::unique_ptr<Epoch> make_sequence_epoch(Context& context, PairTables& model, SequenceNetwork& network,
                                           const HostCsr& train_items, const History& history,
                                           const TrainParams& params);

}  // namespace sheaf
