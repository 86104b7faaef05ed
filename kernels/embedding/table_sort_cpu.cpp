#include <algorithm>
#include <atomic>
#include <bit>

#include "kernels/core/parallel.hpp"
#include "kernels/core/sort.hpp"
#include "kernels/embedding/table_sort.hpp"

namespace sheaf::embedding::cpu {

void table_sort(Context& context, const TableSortArgs& args) {
  constexpr int64_t kGrain = 64;
  const int64_t n = args.bags.ids.size;
  ScratchScope scratch(context);
  uint32_t* rows = scratch.take<uint32_t>(n);
  uint32_t* entries = scratch.take<uint32_t>(n);
  std::atomic_ref<uint64_t> fault(*args.fault);
  parallel_for(context, args.bags.n_bags, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const TableRange range = table_range(args.tables, args.bags, b);
      const BagRange bag = bag_range(args.bags, b);
      for (int64_t e = bag.begin; e < bag.end; ++e) {
        const int64_t id = args.bags.ids[e];
        const bool valid = id >= 0 && id < range.n_rows;
        rows[e] = static_cast<uint32_t>(valid ? range.first + id : args.tables.n_rows);
        entries[e] = static_cast<uint32_t>(e);
        args.sorted.bags[e] = static_cast<int32_t>(b);
        uint64_t lowest = fault.load(std::memory_order_relaxed);
        while (!valid && static_cast<uint64_t>(e) < lowest &&
               !fault.compare_exchange_weak(lowest, static_cast<uint64_t>(e), std::memory_order_relaxed)) {
        }
      }
    }
  });
  const int key_bits = std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(args.tables.n_rows))));
  sheaf::sort_pairs(context, {{rows, n}, {entries, n}, key_bits, args.sorted.rows, args.sorted.entries});
}

}  // namespace sheaf::embedding::cpu
