#include "kernels/dense/gram.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {

void gram(Context& context, const GramArgs& args) {
  constexpr const char* kOp = "dense::gram";
  const auto text = [](int64_t n) { return std::to_string(n); };
  check_argument(args.out.rows == args.x.cols && args.out.cols == args.x.cols, kOp,
                 "out must be [" + text(args.x.cols) + ", " + text(args.x.cols) + "], is [" + text(args.out.rows) +
                     ", " + text(args.out.cols) + "]");
  if (args.out.empty()) return;
  check_argument(args.out.data && (args.x.rows == 0 || args.x.data), kOp, "null view");
  if (args.x.rows == 0) {
    context.fill_bytes(args.out.data, 0, static_cast<size_t>(args.out.size()) * sizeof(double));
    return;
  }
  SHEAF_DISPATCH(context, gram, args);
}

OpCost gram_cost(const GramArgs& args) {
  const int64_t dim = args.x.cols;
  return {.bytes = args.x.size() * static_cast<int64_t>(sizeof(float)) +
                   args.out.size() * static_cast<int64_t>(sizeof(double)),
          .flops = args.x.rows * dim * (dim + 1)};
}

}  // namespace sheaf::dense
