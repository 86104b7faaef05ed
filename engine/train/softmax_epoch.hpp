#pragma once
/// Training against the whole catalog: the softmax cross-entropy of every user's purchases over all items (loss/full_softmax.hpp), one
/// Adam step an epoch. Factorization only.

#include <memory>

#include "engine/train/epoch.hpp"
#include "engine/train/trainer.hpp"

namespace sheaf {

/// Item biases start at the logarithm of the items' training weight: the model of popularity, from which users then differ.
std::unique_ptr<Epoch> make_softmax_epoch(Context& context, PreferenceModel& model, const HostCsr& train_items,
                                          const TrainParams& params);

}  // namespace sheaf
