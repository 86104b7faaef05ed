#pragma once
/// Lookup and bags over tables of 32, 16 or 8 bits, many tables in one launch.
///
///   sum   out[b, :] = sum over e in bag b of weights[e] * table[ids[e], :]
///   mean  the sum over the number of the bag's entries
///   max   out[b, c] = max over e of table[ids[e], c]; of equals the first; a NaN wins and stays. No weights.
///
/// Sums are in float and run in bag order: the same bits on every run and for any number of threads. Integer-valued
/// data with sums below 2^24 gives equal bits on all backends. Empty bags give zeros. Ids and entities out of range are
/// left out and recorded in `fault`. In a mean such ids count as entries.

#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/embedding/table.hpp"

namespace sheaf::embedding {

struct TableBagArgs {
  Tables tables;
  Bags bags;
  Pooling pooling = Pooling::sum;
  uint64_t* fault = nullptr;  // [1] on the device, or null, see table.hpp
  /// [n_bags, dim] for max, if its backward follows: place in the bag, -1 for none; else no data
  MatrixView<int32_t> winners = {};
  MatrixView<float> out;  // [n_bags, dim] f32, must not alias an input
};

void table_bag(Context& context, const TableBagArgs& args);
OpCost table_bag_cost(const TableBagArgs& args);

/// Sums over bags of one f32 table, of ids and entities that the caller has proven. What is out of range is left out.
inline void bag_sums(Context& context, MatrixView<const float> table, const Bags& bags, MatrixView<float> out) {
  table_bag(context, {.tables = table_to_read(table), .bags = bags, .out = out});
}

SHEAF_BACKENDS(table_bag, TableBagArgs);

}  // namespace sheaf::embedding
