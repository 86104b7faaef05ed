#include "kernels/embedding/table_update.hpp"

#include <string>

#include "kernels/core/check.hpp"

namespace sheaf::embedding {

constexpr int64_t kWidestAdagrad = 1024;  // a group of the CUDA kernel holds the whole row

void table_update(Context& context, const TableUpdateArgs& args) {
  constexpr const char* kOp = "embedding::table_update";
  check_tables(kOp, args.tables, args.bags);
  check_argument(args.grad.rows == args.bags.n_bags && args.grad.cols == args.tables.dim, kOp,
                 "grad must be [n_bags, dim]");
  check_argument(args.tables.type != TableType::i8, kOp, "i8 tables are for inference");
  check_slots(kOp, args.bags);
  check_argument(args.optimizer != Optimizer::rowwise_adagrad || args.tables.dim <= kWidestAdagrad, kOp,
                 "row-wise Adagrad takes rows of up to 1024");
  check_argument(args.params.step >= 1, kOp, "step counts from 1");
  check_argument(args.params.decoupled_decay == 0.0f || args.optimizer == Optimizer::adam, kOp,
                 "decoupled_decay is Adam's");
  const bool is_max = args.pooling == Pooling::max;
  check_argument(is_max == (args.winners.data != nullptr), kOp, "winners go with max");
  if (is_max) {
    check_argument(args.winners.rows == args.grad.rows && args.winners.cols == args.grad.cols, kOp,
                   "winners must be [n_bags, dim]");
    check_argument(!args.bags.weights, kOp, "max takes no weights");
  }
  check_argument(args.optimizer == Optimizer::sgd || args.state1, kOp, "the optimizer needs state1");
  check_argument(args.optimizer != Optimizer::adam || args.state2, kOp, "adam needs state2");
  for (const int64_t size : {args.sorted.rows.size, args.sorted.entries.size, args.sorted.bags.size}) {
    check_argument(size == (args.sorted.rows.empty() ? 0 : n_slots(args.bags)), kOp,
                   "sorted must be of " + std::to_string(n_slots(args.bags)) + " slots");
  }
  if (n_slots(args.bags) == 0 || args.bags.n_bags == 0) return;
  check_argument(args.grad.data != nullptr, kOp, "null view");
  SHEAF_DISPATCH(context, table_update, args);
}

OpCost table_update_cost(const TableUpdateArgs& args, int64_t unique_rows) {
  // The gradients and ids are read once, each touched row and its state are read and written once.
  const int64_t dim = args.tables.dim;
  int64_t state_bytes = 4 * dim * states_of(args.optimizer);
  if (args.optimizer == Optimizer::rowwise_adagrad) state_bytes = 4;
  return {.bytes = args.grad.size() * 4 + index_bytes(args.bags) +
                   2 * unique_rows * (dim * bytes_of(args.tables.type) + state_bytes),
          .flops = 2 * expected_entries(args.bags) * dim + 8 * unique_rows * dim};
}

}  // namespace sheaf::embedding
