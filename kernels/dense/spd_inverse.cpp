#include "kernels/dense/spd_inverse.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void spd_inverse(Context& context, const SpdInverseArgs& args) {
  constexpr const char* kOp = "dense::spd_inverse";
  check_argument(
      args.matrix.rows == args.matrix.cols, kOp,
      "matrix must be square, is [" + std::to_string(args.matrix.rows) + ", " + std::to_string(args.matrix.cols) + "]");
  check_argument(args.failed.size == 1, kOp, "failed must be [1]");
  context.fill_bytes(args.failed.data, 0, sizeof(int32_t));
  if (!args.matrix.empty()) SHEAF_DISPATCH(context, spd_inverse, args);
}

OpCost spd_inverse_cost(const SpdInverseArgs& args) {
  // One half is read, both are written. Every block of pivots updates one half of the matrix.
  const int64_t n = args.matrix.rows;
  return {.bytes = (n * (n + 1) / 2 + n * n) * static_cast<int64_t>(sizeof(float)), .flops = n * n * n};
}

}  // namespace sheaf::dense
