#include "kernels/dense/dropout.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void dropout(Context& context, const DropoutArgs& args) {
  check_argument(args.rate >= 0.0f && args.rate < 1.0f, "dense::dropout",
                 "rate must be in [0, 1), is " + std::to_string(args.rate));
  check_argument(args.first_row >= 0, "dense::dropout", "first_row must not be negative");
  if (args.x.empty() || args.rate == 0.0f) return;
  SHEAF_DISPATCH(context, dropout, args);
}

OpCost dropout_cost(const DropoutArgs& args) {
  return {.bytes = 2 * args.x.size() * static_cast<int64_t>(sizeof(float)), .flops = args.x.size()};
}

}  // namespace sheaf::dense
