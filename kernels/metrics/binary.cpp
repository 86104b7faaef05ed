#include "kernels/metrics/binary.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::metrics {

void binary(Context& context, const BinaryArgs& args) {
  constexpr const char* kOp = "metrics::binary";
  check_argument(args.labels.size == args.probabilities.size, kOp, "labels and probabilities differ in size");
  check_argument(args.out.size == kBinaryColumns, kOp, "out must be [kBinaryColumns]");
  check_argument(args.probabilities.size < (int64_t{1} << 31) - 1, kOp, "at most 2^31 - 2 examples");
  if (args.probabilities.empty()) {
    context.fill_bytes(args.out.data, 0xff, kBinaryColumns * sizeof(double));  // NaN
    return;
  }
  SHEAF_DISPATCH(context, binary, args);
}

OpCost binary_cost(const BinaryArgs& args) {
  return {.bytes = args.probabilities.size * static_cast<int64_t>(sizeof(float) + sizeof(uint8_t)),
          .flops = 8 * args.probabilities.size};
}

}  // namespace sheaf::metrics
