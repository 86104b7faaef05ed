#include "kernels/embedding/sparse_update.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::embedding {

void sparse_update(Context& context, const SparseUpdateArgs& args) {
  constexpr const char* kOp = "embedding::sparse_update";
  check_argument(args.grad.rows == args.ids.size, kOp,
                 "grad has " + std::to_string(args.grad.rows) + " rows for " + std::to_string(args.ids.size) + " ids");
  check_argument(
      args.grad.cols == args.table.cols, kOp,
      "grad has " + std::to_string(args.grad.cols) + " columns, the table " + std::to_string(args.table.cols));
  check_argument(args.bags.n_columns == args.table.rows, kOp,
                 "the bags name " + std::to_string(args.bags.n_columns) + " rows, the table has " +
                     std::to_string(args.table.rows));
  const auto same_shape = [&](const MatrixView<float>& m) {
    return m.rows == args.table.rows && m.cols == args.table.cols;
  };
  check_argument(same_shape(args.moment1) && same_shape(args.moment2), kOp, "both moments must have the table's shape");
  check_argument(args.adam.step >= 1, kOp, "step counts from 1");
  check_argument(args.max_bag >= 1, kOp, "max_bag must be at least 1");
  check_argument(args.ids.size * args.max_bag < (int64_t{1} << 31), kOp, "ids times max_bag must be below 2^31");
  check_argument(args.table.rows < (int64_t{1} << 31), kOp, "at most 2^31 - 1 rows");
  if (args.grad.empty()) return;
  SHEAF_DISPATCH(context, sparse_update, args);
}

OpCost sparse_update_cost(const SparseUpdateArgs& args) {
  // Every gradient row is read once a bag entry; each touched row and its moments are read and written. Rows touched are
  // bounded by the entries and by the table.
  const int64_t entries = args.ids.size * args.max_bag;
  const int64_t touched = entries < args.table.rows ? entries : args.table.rows;
  const int64_t row_bytes = args.table.cols * static_cast<int64_t>(sizeof(float));
  return {
      .bytes = args.grad.rows * row_bytes + 6 * touched * row_bytes + entries * static_cast<int64_t>(sizeof(int32_t)),
      .flops = 2 * entries * args.table.cols + 14 * touched * args.table.cols};
}

}  // namespace sheaf::embedding
