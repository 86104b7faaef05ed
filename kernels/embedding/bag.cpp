#include "kernels/embedding/bag.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::embedding {

void bag(Context& context, const BagArgs& args) {
  check_argument(args.out.rows == args.ids.size, "embedding::bag",
                 "out has " + std::to_string(args.out.rows) + " rows for " + std::to_string(args.ids.size) + " ids");
  check_argument(args.out.cols == args.table.cols, "embedding::bag",
                 "out has " + std::to_string(args.out.cols) + " columns, the table " + std::to_string(args.table.cols));
  check_argument(args.bags.n_columns == args.table.rows, "embedding::bag",
                 "the bags name " + std::to_string(args.bags.n_columns) + " rows, the table has " +
                     std::to_string(args.table.rows));
  if (args.out.empty()) return;
  check_argument(args.table.data && args.ids.data && args.out.data && args.bags.row_offsets, "embedding::bag",
                 "null view");
  SHEAF_DISPATCH(context, bag, args);
}

OpCost bag_cost(const BagArgs& args) {
  // Each bag is taken at the mean size; the table's rows are counted once a lookup, since caches are not promised.
  const int64_t mean_bag = args.bags.n_rows > 0 ? (args.bags.nnz + args.bags.n_rows - 1) / args.bags.n_rows : 0;
  const int64_t entries = args.ids.size * mean_bag;
  const int64_t entry_bytes =
      static_cast<int64_t>(sizeof(int32_t)) + (args.bags.values ? static_cast<int64_t>(sizeof(float)) : 0);
  return {.bytes = entries * (args.table.cols * static_cast<int64_t>(sizeof(float)) + entry_bytes) +
                   args.ids.size * static_cast<int64_t>(sizeof(int32_t) + 2 * sizeof(int64_t)) +
                   args.out.size() * static_cast<int64_t>(sizeof(float)),
          .flops = 2 * entries * args.table.cols};
}

}  // namespace sheaf::embedding
