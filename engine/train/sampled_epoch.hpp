#pragma once
/// Training with drawn negatives: batches of positives, `negatives` items against each, BPR or BCE, sparse steps of
/// the rows that a batch touches.

#include <memory>

#include "engine/train/epoch.hpp"
#include "engine/train/pair_tables.hpp"
#include "engine/train/trainer.hpp"

namespace sheaf {

std::unique_ptr<Epoch> make_sampled_epoch(Context& context, PairTables& model, const HostCsr& train_items,
                                          const TrainParams& params);

}  // namespace sheaf
