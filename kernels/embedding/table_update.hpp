#pragma once
/// Backward of table_bag, fused with the optimizer's step on the rows that entries touch, and on no other rows
/// (lazily).
///
///   g[r, :] = sum over entries e of row r, in bag b, of w_e * grad[b, :]
///   w_e = weights[e] for sum, weights[e] / |bag| for mean
///   for max the entry that won a column takes grad[b, c]
///   g += weight_decay * p
///   rowwise_adagrad  s[r] += mean_c g[c]^2;  p -= lr g / (sqrt(s[r]) + eps)   (FBGEMM; one number of state a row)
///   all others       core/optimizer.hpp
///
/// The state of a row that no entry touches stands still, too: moments do not fade, and momentum does not move it.
///
/// Entries are sorted by row, stably: in the order of the bags, and of the entries in each. They are summed in segments
/// that end where the row ends and at each multiple of 512 places of the sorted order. Then the sums of a row's
/// segments are added in order. Thus several threads share a hot row, and every order is fixed: the same bits on every
/// run and for any number of threads. Integer-valued
/// gradients give equal sums on all backends.
///
/// 16-bit tables: the new value is rounded stochastically by Philox (seed, Purpose::rounding, step, storage row,
/// column), or to the nearest. i8 tables are for inference: UsageError. Row-wise Adagrad takes rows of up to 1024.

#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/optimizer.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/embedding/table_sort.hpp"

namespace sheaf::embedding {

using sheaf::Optimizer;

struct TableUpdateArgs {
  MatrixView<const float> grad;  // [n_bags, dim] f32: gradient of each bag's output
  Tables tables;                 // updated in place
  Bags bags;                     // fewer than 2^31 slots (table.hpp)
  Pooling pooling = Pooling::sum;
  MatrixView<const int32_t> winners = {};  // [n_bags, dim] of table_bag, for max
  uint64_t* fault = nullptr;               // [1] or null, see table.hpp
  Optimizer optimizer = Optimizer::sgd;
  OptimizerParams params = {};
  bool stochastic_rounding = true;  // for 16-bit tables
  float* state1 = nullptr;          // rowwise_adagrad: s [n_rows]; m of adam and momentum, v of others: [n_rows, dim]
  float* state2 = nullptr;          // adam: v [n_rows, dim]
  SortedEntries sorted = {};        // of table_sort for these tables and bags; empty: the op sorts
};

void table_update(Context& context, const TableUpdateArgs& args);
/// `unique_rows`: rows that the entries touch. Where entities name the bags, each counts at the mean size.
OpCost table_update_cost(const TableUpdateArgs& args, int64_t unique_rows);

SHEAF_BACKENDS(table_update, TableUpdateArgs);

}  // namespace sheaf::embedding
