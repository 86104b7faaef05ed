#pragma once
/// Backward of embedding::bag fused with the optimizer. The gradients of all entries that touch a table row are summed
/// in occurrence order. Then that row alone is updated (lazily: rows not touched keep their values and moments).
///
///   g[r, :] = sum over (n, e) with columns[e] == r, e in bag(ids[n]), of values[e] * grad[n, :]
///   g += weight_decay * table[r, :]                              (L2, as in the original Adam)
///   Adam (Kingma and Ba, 2015), with the global step in the bias correction:
///   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
///   table -= lr * (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps)
///
/// Deterministic: the same bits on any number of threads; no float atomics.

#include "kernels/core/adam.hpp"
#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::embedding {

struct SparseUpdateArgs {
  MatrixView<const float> grad;   // [n, dim] f32: gradient of each bag's output
  CsrView bags;                   // [n_entities, n_rows]
  int64_t max_bag = 1;            // no bag is larger; bounds the scratch without asking the device
  VectorView<const int32_t> ids;  // [n] entity ids
  AdamParams adam;
  MatrixView<float> table;    // [n_rows, dim] f32, updated in place
  MatrixView<float> moment1;  // [n_rows, dim] f32
  MatrixView<float> moment2;  // [n_rows, dim] f32
};

void sparse_update(Context& context, const SparseUpdateArgs& args);
OpCost sparse_update_cost(const SparseUpdateArgs& args);

SHEAF_BACKENDS(sparse_update, SparseUpdateArgs);

}  // namespace sheaf::embedding
