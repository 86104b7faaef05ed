#include <algorithm>
#include <bit>
#include <utility>

#include "kernels/core/parallel.hpp"
#include "kernels/core/sort.hpp"
#include "kernels/embedding/fault_cpu.hpp"
#include "kernels/embedding/table_sort.hpp"

namespace sheaf::embedding::cpu {
namespace {

constexpr int64_t kGrain = 64;  // bags

// Entries that have a slot.
int64_t n_used_slots(const Bags& bags, int64_t b) {
  const BagRange range = bag_range(bags, b);
  return std::min(range.end - range.begin, bags.max_bag);
}

// Writes the slots in use of bags [begin, end) to rows and entries from `next` on, and returns the place after them.
int64_t write_bags(const TableSortArgs& args, int64_t begin, int64_t end, int64_t next, uint32_t* rows,
                   uint32_t* entries) {
  const Bags& bags = args.bags;
  for (int64_t b = begin; b < end; ++b) {
    if (lacks_entity(bags, b)) note_fault(args.fault, bags.ids.size + b);
    const int64_t from = bag_range(bags, b).begin;
    const int64_t used = n_used_slots(bags, b);
    for (int64_t j = 0; j < used; ++j, ++next) {
      const int64_t id = bags.ids[from + j];
      const bool valid = id >= 0 && id < args.tables.n_rows;
      if (!valid) note_fault(args.fault, from + j);
      const int64_t slot = b * bags.max_bag + j;
      rows[next] = static_cast<uint32_t>(valid ? id : args.tables.n_rows);
      entries[next] = static_cast<uint32_t>(slot);
      args.sorted.bags[slot] = static_cast<int32_t>(b);
    }
  }
  return next;
}

// Writes the slots in use and returns their number. The others need no sorting.
int64_t write_slots(Context& context, const TableSortArgs& args, uint32_t* rows, uint32_t* entries) {
  constexpr int64_t kFew = 4096;  // are written in the time that it takes to start threads twice
  const Bags& bags = args.bags;
  if (context.n_threads() == 1 || n_slots(bags) <= kFew) return write_bags(args, 0, bags.n_bags, 0, rows, entries);
  ScratchScope scratch(context);
  int64_t* first = scratch.take<int64_t>((bags.n_bags + kGrain - 1) / kGrain);  // of each chunk of bags
  parallel_for(context, bags.n_bags, kGrain, [&](int64_t begin, int64_t end) {
    int64_t n = 0;
    for (int64_t b = begin; b < end; ++b) n += n_used_slots(bags, b);
    first[begin / kGrain] = n;
  });
  int64_t n_used = 0;
  for (int64_t chunk = 0; chunk * kGrain < bags.n_bags; ++chunk) n_used += std::exchange(first[chunk], n_used);
  parallel_for(context, bags.n_bags, kGrain,
               [&](int64_t begin, int64_t end) { write_bags(args, begin, end, first[begin / kGrain], rows, entries); });
  return n_used;
}

void write_entries(Context& context, const TableSortArgs& args, uint32_t* rows, uint32_t* entries) {
  parallel_for(context, args.bags.n_bags, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const TableRange range = table_range(args.tables, args.bags, b);
      const BagRange bag = bag_range(args.bags, b);
      for (int64_t e = bag.begin; e < bag.end; ++e) {
        const int64_t id = args.bags.ids[e];
        const bool valid = id >= 0 && id < range.n_rows;
        if (!valid) note_fault(args.fault, e);
        rows[e] = static_cast<uint32_t>(valid ? range.first + id : args.tables.n_rows);
        entries[e] = static_cast<uint32_t>(e);
        args.sorted.bags[e] = static_cast<int32_t>(b);
      }
    }
  });
}

}  // namespace

void table_sort(Context& context, const TableSortArgs& args) {
  ScratchScope scratch(context);
  const int64_t n = n_slots(args.bags);
  uint32_t* rows = scratch.take<uint32_t>(n);
  uint32_t* entries = scratch.take<uint32_t>(n);
  int64_t n_used = n;
  if (args.bags.entities) {
    n_used = write_slots(context, args, rows, entries);
  } else {
    write_entries(context, args, rows, entries);
  }
  const int key_bits = std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(args.tables.n_rows))));
  sheaf::sort_pairs(context, {{rows, n_used},
                              {entries, n_used},
                              key_bits,
                              args.sorted.rows.subview(0, n_used),
                              args.sorted.entries.subview(0, n_used)});
  std::fill(args.sorted.rows.begin() + n_used, args.sorted.rows.end(), static_cast<uint32_t>(args.tables.n_rows));
}

}  // namespace sheaf::embedding::cpu
