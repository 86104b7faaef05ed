#include "kernels/dense/scaled_add.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void scaled_add(Context& context, const ScaledAddArgs& args) {
  constexpr const char* kOp = "dense::scaled_add";
  check_argument(args.x.rows == 0 || (args.x.rows == args.out.rows && args.x.cols == args.out.cols), kOp,
                 "x must be as large as out, or have no rows");
  check_argument(args.row_bias.empty() || args.row_bias.size == args.out.rows, kOp, "row_bias must be empty or [n]");
  check_argument(args.bias.size <= 1, kOp, "bias must be empty or [1]");
  if (!args.out.empty()) SHEAF_DISPATCH(context, scaled_add, args);
}

OpCost scaled_add_cost(const ScaledAddArgs& args) {
  const int64_t reads = (args.keep != 0.0f ? 1 : 0) + (args.x.rows > 0 ? 1 : 0);
  return {.bytes = (1 + reads) * args.out.size() * static_cast<int64_t>(sizeof(float)), .flops = 4 * args.out.size()};
}

}  // namespace sheaf::dense
