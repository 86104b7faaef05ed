#include "kernels/optim/one_state.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::optim {

void one_state(Context& context, const OneStateArgs& args) {
  constexpr const char* kOp = "optim::one_state";
  const int64_t n = args.grad.size;
  check_argument(args.optimizer != Optimizer::adam && args.optimizer != Optimizer::rowwise_adagrad, kOp,
                 "adam has an op of its own, rowwise_adagrad is of tables");
  check_argument(args.parameters.size == n && args.state.size == n * states_of(args.optimizer), kOp,
                 "parameters and state must have the size of grad");
  if (n > 0) SHEAF_DISPATCH(context, one_state, args);
}

OpCost one_state_cost(const OneStateArgs& args) {
  const int64_t arrays = 3 + 2 * states_of(args.optimizer);
  return {.bytes = arrays * args.grad.size * static_cast<int64_t>(sizeof(float)), .flops = 9 * args.grad.size};
}

}  // namespace sheaf::optim
