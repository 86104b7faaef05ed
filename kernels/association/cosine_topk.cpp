#include "kernels/association/cosine_topk.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::association {

void cosine_topk(Context& context, const CosineTopkArgs& args) {
  constexpr const char* kOp = "association::cosine_topk";
  const int64_t k = args.neighbours.cols;
  check_argument(k >= 1 && k <= 256, kOp, "k must be in 1..256, is " + std::to_string(k));
  check_argument(
      args.neighbours.rows == args.vectors.rows && args.scores.rows == args.vectors.rows && args.scores.cols == k, kOp,
      "outputs must be [n_items, k]");
  check_argument(args.scale > 0.0f, kOp, "scale must be positive");
  check_argument(args.min_score == args.min_score, kOp, "min_score must be a number");
  check_argument(args.vectors.cols >= 1, kOp, "vectors need at least one dimension");
  check_argument(args.vectors.rows < (int64_t{1} << 31), kOp, "at most 2^31 - 1 items");
  if (args.vectors.rows > 0) SHEAF_DISPATCH(context, cosine_topk, args);
}

OpCost cosine_topk_cost(const CosineTopkArgs& args) {
  return {.bytes = (args.vectors.size() + 2 * args.neighbours.size()) * static_cast<int64_t>(sizeof(float)),
          .flops = 2 * args.vectors.rows * args.vectors.rows * args.vectors.cols};
}

}  // namespace sheaf::association
