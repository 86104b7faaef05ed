#include <bit>

#include "kernels/core/sort.hpp"
#include "kernels/embedding/table.cuh"
#include "kernels/embedding/table_sort.hpp"

namespace sheaf::embedding::cuda {
namespace {

constexpr int kTableSortBlock = 256;

// `lanes` threads a bag over its entries: a warp, or one where every entry is a bag.
__global__ void expand_bags_kernel(TableSortArgs args, int lanes, uint32_t* rows, uint32_t* entries) {
  const int64_t b = (static_cast<int64_t>(blockIdx.x) * kTableSortBlock + threadIdx.x) / lanes;
  if (b >= args.bags.n_bags) return;
  const BagRange bag = bag_range(args.bags, b);
  const TableRange range = table_range(args.tables, args.bags, b);
  for (int64_t e = bag.begin + static_cast<int>(threadIdx.x) % lanes; e < bag.end; e += lanes) {
    const int64_t id = args.bags.ids[e];
    const bool valid = id >= 0 && id < range.n_rows;
    if (!valid) note_fault(args.fault, e);
    rows[e] = static_cast<uint32_t>(valid ? range.first + id : args.tables.n_rows);
    entries[e] = static_cast<uint32_t>(e);
    args.sorted.bags[e] = static_cast<int32_t>(b);
  }
}

// A thread a slot, for bags named by entities.
__global__ void expand_slots_kernel(TableSortArgs args, uint32_t* rows, uint32_t* entries) {
  const int64_t slot = static_cast<int64_t>(blockIdx.x) * kTableSortBlock + threadIdx.x;
  if (slot >= n_slots(args.bags)) return;
  const int64_t b = slot / args.bags.max_bag, place = slot % args.bags.max_bag;
  if (place == 0 && lacks_entity(args.bags, b)) note_fault(args.fault, args.bags.ids.size + b);
  const BagRange bag = bag_range(args.bags, b);
  int64_t row = args.tables.n_rows;
  if (bag.begin + place < bag.end) {
    const int64_t id = args.bags.ids[bag.begin + place];
    if (id >= 0 && id < args.tables.n_rows) {
      row = id;
    } else {
      note_fault(args.fault, bag.begin + place);
    }
  }
  rows[slot] = static_cast<uint32_t>(row);
  entries[slot] = static_cast<uint32_t>(slot);
  args.sorted.bags[slot] = static_cast<int32_t>(b);
}

}  // namespace

void table_sort(Context& context, const TableSortArgs& args) {
  const int64_t n = n_slots(args.bags);
  ScratchScope scratch(context);
  const VectorView<uint32_t> rows{scratch.take<uint32_t>(n), n};
  const VectorView<uint32_t> entries{scratch.take<uint32_t>(n), n};
  if (args.bags.entities) {
    launch(expand_slots_kernel, blocks_for(n, kTableSortBlock), kTableSortBlock, 0, context, args, rows.data,
           entries.data);
  } else {
    const int lanes = args.bags.offsets ? kWarp : 1;
    launch(expand_bags_kernel, blocks_for(args.bags.n_bags, kTableSortBlock / lanes), kTableSortBlock, 0, context, args,
           lanes, rows.data, entries.data);
  }
  const int key_bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(args.tables.n_rows)));
  sheaf::sort_pairs(context, {rows, entries, key_bits < 1 ? 1 : key_bits, args.sorted.rows, args.sorted.entries});
}

}  // namespace sheaf::embedding::cuda
