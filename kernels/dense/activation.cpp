#include "kernels/dense/activation.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::dense {
namespace {

template <class T, class U>
bool same_shape(const MatrixView<T>& a, const MatrixView<U>& b) {
  return a.rows == b.rows && a.cols == b.cols;
}

void check_kind(Activation kind, const char* op) {
  check_argument(kind <= Activation::gelu, op,
                 "kind must be relu, sigmoid, tanh or gelu, is " + std::to_string(static_cast<int>(kind)));
}

}  // namespace

void activation(Context& context, const ActivationArgs& args) {
  constexpr const char* kOp = "dense::activation";
  check_kind(args.kind, kOp);
  check_argument(same_shape(args.x, args.out), kOp, "out must be as large as x");
  if (!args.out.empty()) SHEAF_DISPATCH(context, activation, args);
}

void activation_backward(Context& context, const ActivationBackwardArgs& args) {
  constexpr const char* kOp = "dense::activation_backward";
  check_kind(args.kind, kOp);
  const bool by_x = args.kind == Activation::gelu;
  check_argument((!by_x && args.x.empty()) || same_shape(args.x, args.d_out), kOp, "x must be as large as d_out");
  check_argument((by_x && args.out.empty()) || same_shape(args.out, args.d_out), kOp, "out must be as large as d_out");
  check_argument(same_shape(args.d_x, args.d_out), kOp, "d_x must be as large as d_out");
  if (!args.d_x.empty()) SHEAF_DISPATCH(context, activation_backward, args);
}

OpCost activation_cost(const ActivationArgs& args) {
  constexpr int64_t kFlops[] = {1, 4, 1, 5};
  return {.bytes = 2 * args.out.size() * static_cast<int64_t>(sizeof(float)),
          .flops = kFlops[static_cast<int>(args.kind)] * args.out.size()};
}

OpCost activation_backward_cost(const ActivationBackwardArgs& args) {
  constexpr int64_t kFlops[] = {1, 3, 4, 11};
  return {.bytes = 3 * args.d_x.size() * static_cast<int64_t>(sizeof(float)),
          .flops = kFlops[static_cast<int>(args.kind)] * args.d_x.size()};
}

}  // namespace sheaf::dense
