#include "kernels/dense/score_topk.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void score_topk(Context& context, const ScoreTopkArgs& args) {
  constexpr const char* kOp = "dense::score_topk";
  const int64_t k = args.top_items.cols;
  check_argument(args.queries.cols == args.items.cols, kOp, "queries and items differ in dim");
  check_argument(args.item_bias.empty() || args.item_bias.size == args.items.rows, kOp,
                 "item_bias must be empty or [n_items]");
  check_argument(k >= 1 && k <= kMaxTopK, kOp, "k must be in 1..256, is " + std::to_string(k));
  check_argument(args.top_items.rows == args.queries.rows && args.top_scores.rows == args.queries.rows &&
                     args.top_scores.cols == k,
                 kOp, "outputs must be [n_queries, k]");
  check_argument(args.exclude_rows.empty() || args.exclude_rows.size == args.queries.rows, kOp,
                 "exclude_rows must be [n_queries] or empty");
  check_argument(args.exclude.n_rows == 0 || args.exclude.n_rows == args.queries.rows || !args.exclude_rows.empty(),
                 kOp, "without exclude_rows exclude must have one row a query, or none");
  check_argument(args.items.rows < (int64_t{1} << 31), kOp, "at most 2^31 - 1 items");
  if (args.queries.rows > 0) SHEAF_DISPATCH(context, score_topk, args);
}

OpCost score_topk_cost(const ScoreTopkArgs& args) {
  return {.bytes = (args.queries.size() + args.items.size() + args.item_bias.size + 2 * args.top_items.size()) *
                       static_cast<int64_t>(sizeof(float)) +
                   args.exclude.nnz * static_cast<int64_t>(sizeof(int32_t)),
          .flops = 2 * args.queries.rows * args.items.rows * args.items.cols};
}

}  // namespace sheaf::dense
