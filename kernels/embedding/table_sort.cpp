#include "kernels/embedding/table_sort.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::embedding {

void table_sort(Context& context, const TableSortArgs& args) {
  constexpr const char* kOp = "embedding::table_sort";
  check_tables(kOp, args.tables, args.bags, args.fault);
  const int64_t n = args.bags.ids.size;
  check_argument(n < (int64_t{1} << 31), kOp, "at most 2^31 - 1 entries a call");
  check_argument(args.sorted.rows.size == n && args.sorted.entries.size == n && args.sorted.bags.size == n, kOp,
                 "sorted must be of n_entries");
  if (n == 0 || args.bags.n_bags == 0) return;
  SHEAF_DISPATCH(context, table_sort, args);
}

OpCost table_sort_cost(const TableSortArgs& args) {
  const int64_t n = args.bags.ids.size;
  return {.bytes = 4 * n + (args.bags.offsets ? 8 * (args.bags.n_bags + 1) : 0) + 12 * n, .flops = 0};
}

}  // namespace sheaf::embedding
