#pragma once
/// Embedding bag: an entity's vector is the weighted sum of the table rows in its bag. The bag of an item may hold the
/// item's own row and the rows of its category and brand. A bag of one row is a plain lookup.
///
///   out[n, :] = sum over e in bag(ids[n]) of values[e] * table[columns[e], :]
///
/// Empty bags give zeros. Sums run in bag order: the same bits on any number of threads.

#include "kernels/core/context.hpp"
#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf::embedding {

struct BagArgs {
  MatrixView<const float> table;  // [n_rows, dim] f32
  CsrView bags;                   // [n_entities, n_rows]; null values mean weight 1
  VectorView<const int32_t> ids;  // [n] entity ids in [0, n_entities); not checked on the device
  MatrixView<float> out;          // [n, dim] f32, must not alias an input
};

void bag(Context& context, const BagArgs& args);
OpCost bag_cost(const BagArgs& args);

SHEAF_BACKENDS(bag, BagArgs);

}  // namespace sheaf::embedding
