#include "kernels/sparse/spgemm.hpp"

#include <string>

#include "kernels/core/check.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::sparse {

void spgemm(Context& context, const SpgemmArgs& args) {
  constexpr const char* kOp = "sparse::spgemm";
  const auto text = [](int64_t n) { return std::to_string(n); };
  const int64_t n_columns = args.out.cols;
  const bool is_product = args.right.n_rows == args.left.n_columns && args.right.n_columns == n_columns;
  const bool is_identity = args.right.n_rows == 0 && args.left.n_columns == n_columns &&
                           (args.right.n_columns == 0 || args.right.n_columns == n_columns);
  check_argument(is_product || is_identity, kOp,
                 "left has " + text(args.left.n_columns) + " columns and out " + text(n_columns) +
                     ", so right must be [" + text(args.left.n_columns) + ", " + text(n_columns) +
                     "], or have no rows where these are equal; it is [" + text(args.right.n_rows) + ", " +
                     text(args.right.n_columns) + "]");
  check_argument(args.out.rows == args.ids.size, kOp,
                 "out must have a row an id, has " + text(args.out.rows) + " for " + text(args.ids.size));
  check_argument(args.ids.size < (int64_t{1} << 31), kOp, "at most 2^31 - 1 ids");
  check_argument(args.ids.empty() || args.left.n_rows > 0, kOp, "ids name rows of a left side that has none");
  check_argument(args.column_bias.empty() || args.column_bias.size == n_columns, kOp,
                 "column_bias must be [n_columns] or empty, has " + text(args.column_bias.size));
  if (args.out.empty()) return;
  const auto is_null = [](const CsrView& matrix) {
    return matrix.n_rows > 0 && (!matrix.row_offsets || (matrix.nnz > 0 && !matrix.columns));
  };
  check_argument(args.ids.data && args.out.data && !is_null(args.left) && !is_null(args.right), kOp, "null view");
  SHEAF_DISPATCH(context, spgemm, args);
}

void clear_spgemm_fault(Context& context, uint64_t* fault) { context.fill_bytes(fault, 0xff, sizeof(*fault)); }

void raise_spgemm_fault(Context& context, const SpgemmArgs& args) {
  uint64_t place = kNoSpgemmFault;
  context.copy_to_host(&place, args.fault, sizeof(place));
  if (place == kNoSpgemmFault) return;
  clear_spgemm_fault(context, args.fault);
  int32_t id = 0;
  context.copy_to_host(&id, args.ids.data + place, sizeof(id));
  throw DataError("spgemm: id " + std::to_string(id) + " at position " + std::to_string(place) + " is outside the " +
                      std::to_string(args.left.n_rows) + " rows",
                  "ids count from 0 and must be below the number of rows");
}

OpCost spgemm_cost(const SpgemmArgs& args) {
  constexpr auto kValue = static_cast<int64_t>(sizeof(float)), kColumn = static_cast<int64_t>(sizeof(int32_t)),
                 kOffset = static_cast<int64_t>(sizeof(int64_t));
  const auto mean_row = [](const CsrView& matrix) {
    return matrix.n_rows > 0 ? static_cast<double>(matrix.nnz) / static_cast<double>(matrix.n_rows) : 0.0;
  };
  const auto entry_bytes = [](const CsrView& matrix) { return kColumn + (matrix.values ? kValue : 0); };
  const bool identity = args.right.n_rows == 0;
  const double entries = static_cast<double>(args.ids.size) * mean_row(args.left);
  const auto n_entries = static_cast<int64_t>(entries);
  const auto n_products = identity ? n_entries : static_cast<int64_t>(entries * mean_row(args.right));
  const int64_t right_bytes = identity ? 0 : n_products * entry_bytes(args.right) + 2 * n_entries * kOffset;
  return {.bytes = args.ids.size * (kColumn + 2 * kOffset) + n_entries * entry_bytes(args.left) + right_bytes +
                   (args.column_bias.size + args.out.size()) * kValue,
          .flops = 2 * n_products};
}

}  // namespace sheaf::sparse
