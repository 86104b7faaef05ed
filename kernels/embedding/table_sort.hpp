#pragma once
/// The entries of bags in the order of the rows that they pick. table_update needs this order, and it needs no
/// gradients, only the ids. So on a second Context of the device the sort runs beside the forward pass;
/// Context::wait_for() joins the two.

#include "kernels/core/cost.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/embedding/table.hpp"

namespace sheaf::embedding {

/// The slots of the bags (table.hpp) by (row, slot): without entities the entries e = 0 .. n_entries - 1.
template <class Word, class Bag>
struct EntriesByRow {
  /// [n_slots] ascending row of the storage; n_rows for an id out of range and, last, for a slot past its bag's end
  VectorView<Word> rows;
  VectorView<Word> entries;  // [n_slots] slot; undefined past the bags' ends
  VectorView<Bag> bags;      // [n_slots] the bag of slot s, at s; undefined past the bags' ends
};
using SortedEntries = EntriesByRow<const uint32_t, const int32_t>;

struct TableSortArgs {
  Tables tables;                           // data is not read
  Bags bags;                               // fewer than 2^31 slots
  uint64_t* fault = nullptr;               // [1] on the device, or null, see table.hpp
  EntriesByRow<uint32_t, int32_t> sorted;  // out
};

void table_sort(Context& context, const TableSortArgs& args);
OpCost table_sort_cost(const TableSortArgs& args);

SHEAF_BACKENDS(table_sort, TableSortArgs);

}  // namespace sheaf::embedding
