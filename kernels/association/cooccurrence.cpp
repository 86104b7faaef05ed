#include "kernels/association/cooccurrence.hpp"

#include "kernels/core/check.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/scan.hpp"

namespace sheaf::association {
namespace {

void check_baskets(const CooccurrenceArgs& args) {
  check_argument(args.item_baskets.n_rows == args.baskets.n_columns &&
                     args.item_baskets.n_columns == args.baskets.n_rows && args.item_baskets.nnz == args.baskets.nnz,
                 "association::cooccurrence", "item_baskets must be the transpose of baskets");
  check_argument(args.min_count >= 1, "association::cooccurrence", "min_count must be at least 1");
}

}  // namespace

void cooccurrence_sizes(Context& context, const CooccurrenceArgs& args, VectorView<int64_t> row_offsets) {
  check_baskets(args);
  const int64_t n_items = args.item_baskets.n_rows;
  check_argument(row_offsets.size == n_items + 1, "association::cooccurrence_sizes",
                 "row_offsets must be [n_items + 1]");
  ScratchScope scratch(context);
  const VectorView<int64_t> row_sizes{scratch.take<int64_t>(n_items), n_items};
  if (n_items > 0) SHEAF_DISPATCH(context, cooccurrence_sizes, args, row_sizes);
  exclusive_scan(context, {row_sizes, row_offsets});
}

void cooccurrence(Context& context, const CooccurrenceArgs& args, VectorView<const int64_t> row_offsets,
                  VectorView<int32_t> neighbours, VectorView<int32_t> counts) {
  check_baskets(args);
  check_argument(row_offsets.size == args.item_baskets.n_rows + 1, "association::cooccurrence",
                 "row_offsets must be [n_items + 1]");
  check_argument(neighbours.size == counts.size, "association::cooccurrence", "neighbours and counts differ in size");
  if (!neighbours.empty()) SHEAF_DISPATCH(context, cooccurrence, args, row_offsets, neighbours, counts);
}

OpCost cooccurrence_cost(const CooccurrenceArgs& args) {
  return {.bytes = 2 * args.baskets.nnz * static_cast<int64_t>(sizeof(int32_t)) +
                   (args.baskets.n_rows + args.baskets.n_columns) * static_cast<int64_t>(sizeof(int64_t)),
          .flops = 0};
}

}  // namespace sheaf::association
