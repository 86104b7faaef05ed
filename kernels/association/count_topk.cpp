#include "kernels/association/count_topk.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::association {

void count_topk(Context& context, const CountTopkArgs& args) {
  constexpr const char* kOp = "association::count_topk";
  const int64_t n_items = args.item_counts.size, k = args.neighbours.cols;
  check_argument(k >= 1 && k <= 256, kOp, "k must be in 1..256, is " + std::to_string(k));
  check_argument(args.row_offsets.size == n_items + 1, kOp, "row_offsets must be [n_items + 1]");
  check_argument(args.companions.size == args.counts.size, kOp, "companions and counts differ in size");
  check_argument(args.neighbours.rows == n_items && args.scores.rows == n_items && args.scores.cols == k, kOp,
                 "outputs must be [n_items, k]");
  check_argument(args.n_baskets >= 0, kOp, "n_baskets must not be negative");
  if (n_items > 0) SHEAF_DISPATCH(context, count_topk, args);
}

OpCost count_topk_cost(const CountTopkArgs& args) {
  return {.bytes = static_cast<int64_t>(sizeof(int32_t)) *
                   (2 * args.counts.size + 2 * args.neighbours.size() + 3 * args.item_counts.size),
          .flops = 4 * args.counts.size};
}

}  // namespace sheaf::association
