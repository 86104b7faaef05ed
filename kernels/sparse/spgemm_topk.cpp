#include "kernels/sparse/spgemm_topk.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::sparse {

void spgemm_topk(Context& context, const SpgemmTopkArgs& args) {
  constexpr const char* kOp = "sparse::spgemm_topk";
  const int64_t k = args.top_items.cols;
  check_argument(args.history.n_columns == args.similarity.n_rows, kOp,
                 "history must be [n_users, n_sources] and similarity [n_sources, n_items]");
  const bool lengths = !args.item_length.empty();
  check_argument(
      (lengths ? args.row_length.size == args.history.n_rows && args.item_length.size == args.similarity.n_columns
               : args.row_length.empty()) &&
          args.shrink >= 0.0f,
      kOp, "lengths must be [n_users] and [n_items], both or neither, and shrink not negative");
  check_argument(args.similarity.values != nullptr || args.similarity.nnz == 0, kOp, "similarity needs values");
  check_argument(k >= 1 && k <= 256, kOp, "k must be in 1..256, is " + std::to_string(k));
  check_argument(args.top_items.rows == args.history.n_rows && args.top_scores.rows == args.history.n_rows &&
                     args.top_scores.cols == k,
                 kOp, "outputs must be [n_users, k]");
  check_argument(args.exclude.n_rows == 0 || (args.exclude.n_rows == args.history.n_rows &&
                                              args.exclude.n_columns == args.similarity.n_columns),
                 kOp, "exclude must be [n_users, n_items] or have no rows");
  if (args.history.n_rows > 0) SHEAF_DISPATCH(context, spgemm_topk, args);
}

OpCost spgemm_topk_cost(const SpgemmTopkArgs& args) {
  const int64_t mean_row = args.similarity.n_rows > 0 ? args.similarity.nnz / args.similarity.n_rows : 0;
  const int64_t products = args.history.nnz * mean_row;
  return {.bytes = products * static_cast<int64_t>(sizeof(int32_t) + sizeof(float)) +
                   2 * args.top_items.size() * static_cast<int64_t>(sizeof(float)),
          .flops = 2 * products};
}

}  // namespace sheaf::sparse
