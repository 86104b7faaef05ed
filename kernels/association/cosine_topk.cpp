#include "kernels/association/cosine_topk.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::association {

// The items as queries of themselves, spelled out, so that backends have one case less.
static CosineTopkArgs completed(CosineTopkArgs args) {
  if (args.queries.data == nullptr) {
    args.queries = args.vectors;
    args.query_categories = args.item_categories;
    if (args.first_query < 0) args.first_query = args.first_item;
  }
  return args;
}

void cosine_topk(Context& context, const CosineTopkArgs& given) {
  constexpr const char* kOp = "association::cosine_topk";
  const CosineTopkArgs args = completed(given);
  const int64_t k = args.neighbours.cols;
  check_argument(k >= 1 && k <= 256, kOp, "k must be in 1..256, is " + std::to_string(k));
  check_argument(
      args.neighbours.rows == args.queries.rows && args.scores.rows == args.queries.rows && args.scores.cols == k, kOp,
      "outputs must be [n_queries, k]");
  check_argument(args.scale >= 0x1.0p-64f && args.scale <= 0x1.0p64f, kOp, "scale must be in 2^-64..2^64");
  check_argument(args.min_score == args.min_score, kOp, "min_score must be a number");
  check_argument(args.vectors.cols >= 1 && args.queries.cols == args.vectors.cols, kOp,
                 "vectors and queries need the same dimensions, at least one");
  check_argument(args.first_item >= 0 && args.first_item + args.vectors.rows < (int64_t{1} << 31), kOp,
                 "ids of items must be below 2^31 - 1");
  check_argument(args.queries.rows < (int64_t{1} << 31), kOp, "at most 2^31 - 1 queries");
  if (args.rule != CategoryRule::any) {
    check_argument(args.item_categories.size == args.vectors.rows && args.query_categories.size == args.queries.rows,
                   kOp, "a category rule needs a category of every item and query");
  }
  check_argument(args.rule != CategoryRule::table || args.category_pairs.rows == args.category_pairs.cols, kOp,
                 "category_pairs must be square");
  check_argument(args.exclude.n_rows == 0 || args.exclude.n_rows == args.queries.rows, kOp,
                 "exclude must have a row for every query");
  check_argument(args.n_rescored.size <= 1, kOp, "n_rescored must be [1]");
  if (!args.n_rescored.empty()) context.fill_bytes(args.n_rescored.data, 0, sizeof(int64_t));
  if (args.queries.rows > 0) SHEAF_DISPATCH(context, cosine_topk, args);
}

OpCost cosine_topk_cost(const CosineTopkArgs& given) {
  const CosineTopkArgs args = completed(given);
  const int64_t n_vectors = args.vectors.size() + (args.queries.data == args.vectors.data ? 0 : args.queries.size());
  return {.bytes = (n_vectors + 2 * args.neighbours.size()) * static_cast<int64_t>(sizeof(float)),
          .flops = 2 * args.queries.rows * args.vectors.rows * args.vectors.cols};
}

}  // namespace sheaf::association
