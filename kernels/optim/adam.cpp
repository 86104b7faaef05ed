#include "kernels/optim/adam.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::optim {

void adam(Context& context, const AdamArgs& args) {
  const int64_t n = args.grad.size;
  check_argument(args.parameters.size == n && args.moment1.size == n && args.moment2.size == n, "optim::adam",
                 "parameters and moments must have the size of grad");
  check_argument(args.adam.step >= 1, "optim::adam", "step counts from 1");
  if (n > 0) SHEAF_DISPATCH(context, adam, args);
}

OpCost adam_cost(const AdamArgs& args) {
  return {.bytes = 7 * args.grad.size * static_cast<int64_t>(sizeof(float)), .flops = 14 * args.grad.size};
}

}  // namespace sheaf::optim
