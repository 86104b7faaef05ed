#include "kernels/sparse/spmm.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::sparse {

void spmm(Context& context, const SpmmArgs& args) {
  constexpr const char* kOp = "sparse::spmm";
  const auto text = [](int64_t n) { return std::to_string(n); };
  check_argument(args.in.rows == args.graph.n_columns, kOp,
                 "the graph has " + text(args.graph.n_columns) + " columns for " + text(args.in.rows) + " rows of in");
  check_argument(args.out.rows == args.graph.n_rows && args.out.cols == args.in.cols, kOp,
                 "out must be [" + text(args.graph.n_rows) + ", " + text(args.in.cols) + "], is [" +
                     text(args.out.rows) + ", " + text(args.out.cols) + "]");
  check_argument(args.row_scale.empty() || args.row_scale.size == args.graph.n_rows, kOp,
                 "row_scale must be [n_rows] or empty, has " + text(args.row_scale.size));
  check_argument(args.column_scale.empty() || args.column_scale.size == args.graph.n_columns, kOp,
                 "column_scale must be [n_columns] or empty, has " + text(args.column_scale.size));
  check_argument(args.mean.rows == 0 || (args.mean.rows == args.out.rows && args.mean.cols == args.out.cols), kOp,
                 "mean must be as large as out, or have no rows");
  check_argument(args.n_in_mean >= 0, kOp, "n_in_mean must not be negative, is " + text(args.n_in_mean));
  if (args.out.empty()) return;
  check_argument(
      args.graph.row_offsets && args.out.data && (args.graph.nnz == 0 || (args.graph.columns && args.in.data)), kOp,
      "null view");
  SHEAF_DISPATCH(context, spmm, args);
}

OpCost spmm_cost(const SpmmArgs& args) {
  // A row of `in` is read once an entry: caches are not promised.
  const int64_t dim = args.in.cols, value = static_cast<int64_t>(sizeof(float));
  const int64_t scales = args.row_scale.size + args.column_scale.size;
  const int64_t entry_bytes = static_cast<int64_t>(sizeof(int32_t)) + (args.graph.values ? value : 0);
  return {.bytes = args.graph.nnz * (dim * value + entry_bytes) +
                   (args.graph.n_rows + 1) * static_cast<int64_t>(sizeof(int64_t)) + scales * value +
                   (args.out.size() + 2 * args.mean.size()) * value,
          .flops = 2 * args.graph.nnz * dim + args.out.size() + 3 * args.mean.size()};
}

}  // namespace sheaf::sparse
