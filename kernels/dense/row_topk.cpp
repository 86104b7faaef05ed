#include "kernels/dense/row_topk.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void row_topk(Context& context, const RowTopkArgs& args) {
  constexpr const char* kOp = "dense::row_topk";
  constexpr int64_t kMost = int64_t{1} << 31;
  const int64_t n = args.scores.rows, k = args.top_items.cols;
  check_argument(k >= 1 && k <= kMaxTopK, kOp, "k must be in 1..256, is " + std::to_string(k));
  check_argument(args.top_items.rows == n && args.top_scores.rows == n && args.top_scores.cols == k, kOp,
                 "outputs must be [n, k]");
  check_argument(args.exclude.n_rows == 0 || args.exclude.n_columns == args.scores.cols, kOp,
                 "exclude must have a column an item, or no rows");
  check_argument(args.exclude_rows.empty() || args.exclude_rows.size == n, kOp, "exclude_rows must be [n] or empty");
  check_argument(args.exclude.n_rows == 0 || args.exclude.n_rows == n || !args.exclude_rows.empty(), kOp,
                 "without exclude_rows exclude must have n rows, or none");
  check_argument(n < kMost && args.scores.cols < kMost, kOp, "at most 2^31 - 1 rows and items");
  if (n > 0) SHEAF_DISPATCH(context, row_topk, args);
}

OpCost row_topk_cost(const RowTopkArgs& args) {
  // With exclude_rows the excluded are counted as if all rows of exclude were of their mean length.
  const int64_t n_excludes = args.exclude.n_rows;
  const double per_row = n_excludes > 0 ? static_cast<double>(args.exclude.nnz) / static_cast<double>(n_excludes) : 0.0;
  const auto excluded = static_cast<int64_t>(per_row * static_cast<double>(args.scores.rows));
  return {.bytes = (args.scores.size() + 2 * args.top_items.size()) * static_cast<int64_t>(sizeof(float)) +
                   (excluded + args.exclude_rows.size) * static_cast<int64_t>(sizeof(int32_t)),
          .flops = 0};
}

}  // namespace sheaf::dense
