#include "kernels/embedding/table_bag.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::embedding {

void table_bag(Context& context, const TableBagArgs& args) {
  constexpr const char* kOp = "embedding::table_bag";
  check_tables(kOp, args.tables, args.bags);
  check_argument(args.out.rows == args.bags.n_bags && args.out.cols == args.tables.dim, kOp,
                 "out must be [n_bags, dim]");
  check_argument(args.pooling != Pooling::max || !args.bags.weights, kOp, "max takes no weights");
  if (args.winners.data) {
    check_argument(
        args.pooling == Pooling::max && args.winners.rows == args.out.rows && args.winners.cols == args.out.cols, kOp,
        "winners go with max and must be [n_bags, dim]");
  }
  if (args.out.empty()) return;
  check_argument(args.out.data != nullptr, kOp, "null view");
  SHEAF_DISPATCH(context, table_bag, args);
}

OpCost table_bag_cost(const TableBagArgs& args) {
  // A row is counted once a lookup, since caches are not promised.
  const int64_t entries = expected_entries(args.bags);
  const int64_t row_bytes = args.tables.dim * bytes_of(args.tables.type) + (args.tables.scales ? 4 : 0);
  return {.bytes = entries * row_bytes + index_bytes(args.bags) + args.out.size() * 4 * (args.winners.data ? 2 : 1),
          .flops = 2 * entries * args.tables.dim};
}

}  // namespace sheaf::embedding
