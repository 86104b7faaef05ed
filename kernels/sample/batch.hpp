#pragma once
/// One training batch: positives in an epoch's random order, each with n_negatives items that its user never bought.
///
/// Order: position p of the epoch is the positive permute(p), a keyed bijection of [0, n_positives): a four-round
/// Feistel network over the next even power of two, applied again until the result is inside
/// (Black and Rogaway, CT-RSA 2002). Every epoch visits each positive once; nothing is stored or shuffled.
/// Negatives: candidate t of slot (position, g) is a uniform item (or one drawn from `popularity`, an alias table of
/// Walker, 1977). It is drawn again while the user has bought it, at most kMaxTries times; then the last draw is used.
/// Draws are keyed by (seed, epoch, position, g): any batch size gives the same pairs.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::sample {

inline constexpr int kMaxTries = 16;

struct BatchArgs {
  uint64_t seed = 0;
  uint32_t epoch = 0;
  int64_t first_position = 0;               // of this batch in the epoch
  VectorView<const int32_t> users;          // [n_positives]
  VectorView<const int32_t> items;          // [n_positives]
  VectorView<const float> weights;          // [n_positives], or empty
  CsrView taken;                            // [n_users, n_items] pattern: items never drawn as negatives
  VectorView<const float> alias_threshold;  // [n_items] in [0, 1], or empty for uniform negatives
  VectorView<const int32_t> alias_item;     // [n_items]
  VectorView<int32_t> batch_users;  // [n_batch]; the batch ends where the epoch ends: n_batch <= n_positives - first
  MatrixView<int32_t> batch_items;  // [n_batch, 1 + n_negatives]; column 0 is the positive
  VectorView<float> batch_weights;  // [n_batch], or empty when weights is empty
};

void batch(Context& context, const BatchArgs& args);
OpCost batch_cost(const BatchArgs& args);

SHEAF_BACKENDS(batch, BatchArgs);

}  // namespace sheaf::sample
