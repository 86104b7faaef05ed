#include "kernels/sparse/als_solve.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/core/check.hpp"

namespace sheaf::sparse {

void als_solve(Context& context, const AlsSolveArgs& args) {
  constexpr const char* kOp = "sparse::als_solve";
  const auto text = [](int64_t n) { return std::to_string(n); };
  const int64_t dim = args.items.cols;
  check_argument(dim >= 1 && dim <= kAlsMostDim, kOp, "vectors must have 1 to 256 dimensions, have " + text(dim));
  check_argument(args.items.rows == args.rows.n_columns, kOp,
                 "there are " + text(args.rows.n_columns) + " columns for " + text(args.items.rows) + " items");
  check_argument(args.targets.empty() || args.targets.size == args.rows.nnz, kOp,
                 "targets must be [" + text(args.rows.nnz) + "] or empty, has " + text(args.targets.size));
  check_argument(args.gram.rows == dim && args.gram.cols == dim, kOp,
                 "gram must be [" + text(dim) + ", " + text(dim) + "], is [" + text(args.gram.rows) + ", " +
                     text(args.gram.cols) + "]");
  check_argument(args.out.rows == args.rows.n_rows && args.out.cols == dim, kOp,
                 "out must be [" + text(args.rows.n_rows) + ", " + text(dim) + "], is [" + text(args.out.rows) + ", " +
                     text(args.out.cols) + "]");
  check_argument(args.failed.size == 1, kOp, "failed must be [1]");
  check_argument(args.l2 >= 0.0 && std::isfinite(args.l2), kOp,
                 "l2 must not be negative, is " + std::to_string(args.l2));
  check_argument(args.alpha > 0.0f && std::isfinite(args.alpha), kOp,
                 "alpha must be positive, is " + std::to_string(args.alpha));
  context.fill_bytes(args.failed.data, 0, sizeof(int32_t));
  if (args.out.empty()) return;
  check_argument(args.rows.row_offsets && args.out.data && args.gram.data &&
                     (args.rows.nnz == 0 || (args.rows.columns && args.items.data)),
                 kOp, "null view");
  SHEAF_DISPATCH(context, als_solve, args);
}

OpCost als_solve_cost(const AlsSolveArgs& args) {
  const int64_t dim = args.items.cols, value = static_cast<int64_t>(sizeof(float));
  const int64_t n_rows = std::max<int64_t>(1, args.rows.n_rows), length = args.rows.nnz / n_rows;
  const int64_t system = std::min(length, dim), terms = std::max(length, dim);
  const int64_t row_flops = system * system * terms + system * system * system / 3 + 4 * args.rows.nnz / n_rows * dim;
  return {.bytes = args.rows.nnz * (static_cast<int64_t>(sizeof(int32_t)) + (args.rows.values ? value : 0)) +
                   args.targets.size * value + (args.rows.n_rows + 1) * static_cast<int64_t>(sizeof(int64_t)) +
                   args.items.size() * value + args.gram.size() * static_cast<int64_t>(sizeof(double)) +
                   args.out.size() * value,
          .flops =
              args.rows.n_rows * row_flops + (args.items.rows + args.out.rows) * dim * (dim + 1) + dim * dim * dim / 3};
}

}  // namespace sheaf::sparse
