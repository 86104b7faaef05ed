#include "kernels/metrics/ranking.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::metrics {

void ranking(Context& context, const RankingArgs& args) {
  constexpr const char* kOp = "metrics::ranking";
  check_argument(
      args.k >= 1 && args.k <= args.top_items.cols, kOp,
      "k must be in 1..list length (" + std::to_string(args.top_items.cols) + "), is " + std::to_string(args.k));
  check_argument(args.truth.n_rows == args.top_items.rows, kOp, "truth and lists differ in users");
  check_argument(args.per_user.rows == args.top_items.rows && args.per_user.cols == kRankingColumns, kOp,
                 "per_user must be [n_users, kRankingColumns]");
  if (args.top_items.rows > 0) SHEAF_DISPATCH(context, ranking, args);
}

OpCost ranking_cost(const RankingArgs& args) {
  return {.bytes = (args.top_items.rows * args.k + args.truth.nnz + args.per_user.size()) *
                       static_cast<int64_t>(sizeof(float)) +
                   args.truth.n_rows * static_cast<int64_t>(sizeof(int64_t)),
          .flops = 0};
}

}  // namespace sheaf::metrics
