#include "kernels/sample/batch.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::sample {

void batch(Context& context, const BatchArgs& args) {
  constexpr const char* kOp = "sample::batch";
  const int64_t n_batch = args.batch_users.size;
  check_argument(args.items.size == args.users.size, kOp, "users and items must have the same size");
  check_argument(args.weights.empty() || args.weights.size == args.users.size, kOp,
                 "weights must be empty or [n_positives]");
  check_argument(args.batch_items.rows == n_batch && args.batch_items.cols >= 1, kOp,
                 "batch_items must be [n_batch, 1 + n_negatives]");
  check_argument(args.batch_weights.size == (args.weights.empty() ? 0 : n_batch), kOp,
                 "batch_weights must be [n_batch] exactly when weights are given");
  check_argument(args.alias_threshold.empty() || (args.alias_threshold.size == args.taken.n_columns &&
                                                  args.alias_item.size == args.taken.n_columns),
                 kOp, "the alias table must be [n_items]");
  check_argument(args.taken.n_columns > 0 && args.taken.n_columns < (int64_t{1} << 31), kOp,
                 "n_items must be in 1..2^31 - 1");
  check_argument(args.first_position >= 0 && args.first_position + n_batch <= args.users.size, kOp,
                 "the batch reaches past the epoch's end");
  if (n_batch > 0) SHEAF_DISPATCH(context, batch, args);
}

OpCost batch_cost(const BatchArgs& args) {
  return {.bytes = (2 * args.batch_users.size + args.batch_users.size + args.batch_items.size()) *
                   static_cast<int64_t>(sizeof(int32_t)),
          .flops = 0};
}

}  // namespace sheaf::sample
