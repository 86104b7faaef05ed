#include "kernels/embedding/table_sort.hpp"

#include <string>

#include "kernels/core/check.hpp"

namespace sheaf::embedding {

void table_sort(Context& context, const TableSortArgs& args) {
  constexpr const char* kOp = "embedding::table_sort";
  check_tables(kOp, args.tables, args.bags);
  check_slots(kOp, args.bags);
  const int64_t n = n_slots(args.bags);
  check_argument(args.sorted.rows.size == n && args.sorted.entries.size == n && args.sorted.bags.size == n, kOp,
                 "sorted must be of " + std::to_string(n) + " slots");
  if (n == 0 || args.bags.n_bags == 0) return;
  SHEAF_DISPATCH(context, table_sort, args);
}

OpCost table_sort_cost(const TableSortArgs& args) {
  return {.bytes = index_bytes(args.bags) + 12 * n_slots(args.bags), .flops = 0};
}

}  // namespace sheaf::embedding
