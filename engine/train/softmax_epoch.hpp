#pragma once
/// Training against the whole catalog: the softmax cross-entropy of every user's purchases over all items
/// (loss/full_softmax.hpp), one step of the optimizer an epoch. Of PairForm::dot.

#include <memory>

#include "engine/train/epoch.hpp"
#include "engine/train/pair_tables.hpp"
#include "engine/train/trainer.hpp"

namespace sheaf {

/// log(weight of the item + 0.5) of training purchases, shifted to mean 0; 0 for the rows of features. Biases to start
/// from.
std::vector<float> log_popularity(const HostCsr& train_items, int64_t n_rows);

/// Item biases start at the logarithm of the items' training weight: the model of popularity, from which users then
/// differ.
std::unique_ptr<Epoch> make_softmax_epoch(Context& context, PairTables& model, const HostCsr& train_items,
                                          const TrainParams& params);

}  // namespace sheaf
