#include "kernels/recurrent/recurrent.hpp"

#include "kernels/core/check.hpp"

namespace sheaf::recurrent {
namespace {

constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

/// Of the rows [n, dim], on both passes.
struct Sizes {
  int64_t n, dim, gates, kept, biases;
};

Sizes sizes_of(Cell cell, int64_t n, int64_t dim) {
  return {n, dim, n_gates(cell) * dim, n_kept(cell) * dim, cell == Cell::gru ? dim : 0};
}

template <class Matrix>
void check_matrix(const Matrix& matrix, int64_t rows, int64_t cols, const char* op, const char* name) {
  check_argument(matrix.rows == rows && matrix.cols == cols, op,
                 std::string(name) + " must be [" + std::to_string(rows) + ", " + std::to_string(cols) + "], is [" +
                     std::to_string(matrix.rows) + ", " + std::to_string(matrix.cols) + "]");
}

void check_sequences(const Shape& shape, const char* op) {
  check_argument(shape.offsets.size >= 1, op, "offsets must have one value more than there are sequences");
  check_argument(shape.order.size == 0 || shape.order.size == shape.offsets.size - 1, op,
                 "order must be empty or have one value a sequence (" + std::to_string(shape.offsets.size - 1) +
                     "), has " + std::to_string(shape.order.size));
}

void check_bias(int64_t size, const Sizes& sizes, const char* op, const char* name) {
  check_argument(
      size == sizes.biases, op,
      std::string(name) + " must have " + std::to_string(sizes.biases) + " values, has " + std::to_string(size));
}

}  // namespace

void recurrent(Context& context, const RecurrentArgs& args) {
  constexpr const char* kOp = "recurrent::recurrent";
  const Sizes sizes = sizes_of(args.shape.cell, args.out.rows, args.out.cols);
  check_sequences(args.shape, kOp);
  check_matrix(args.x, sizes.n, sizes.gates, kOp, "x");
  check_matrix(args.weight, sizes.gates, sizes.dim, kOp, "weight");
  check_bias(args.bias.size, sizes, kOp, "bias");
  check_matrix(args.kept, sizes.n, sizes.kept, kOp, "kept");
  if (args.out.empty()) return;
  SHEAF_DISPATCH(context, recurrent, args);
}

void recurrent_backward(Context& context, const RecurrentBackwardArgs& args) {
  constexpr const char* kOp = "recurrent::recurrent_backward";
  const Sizes sizes = sizes_of(args.shape.cell, args.out.rows, args.out.cols);
  check_sequences(args.shape, kOp);
  check_matrix(args.weight, sizes.gates, sizes.dim, kOp, "weight");
  check_matrix(args.kept, sizes.n, sizes.kept, kOp, "kept");
  check_matrix(args.d_out, sizes.n, sizes.dim, kOp, "d_out");
  check_matrix(args.d_x, sizes.n, sizes.gates, kOp, "d_x");
  check_matrix(args.d_weight, sizes.gates, sizes.dim, kOp, "d_weight");
  check_bias(args.d_bias.size, sizes, kOp, "d_bias");
  if (args.out.empty()) {
    const auto clear = [&](float* data, int64_t size) {
      if (size > 0) context.fill_bytes(data, 0, static_cast<size_t>(size * kFloat));
    };
    clear(args.d_weight.data, args.d_weight.size());
    clear(args.d_bias.data, args.d_bias.size);
    return;
  }
  SHEAF_DISPATCH(context, recurrent_backward, args);
}

OpCost recurrent_cost(const RecurrentArgs& args) {
  return {.bytes = (args.x.size() + args.weight.size() + args.bias.size + args.kept.size() + args.out.size()) * kFloat,
          .flops = 2 * args.x.size() * args.out.cols};
}

OpCost recurrent_backward_cost(const RecurrentBackwardArgs& args) {
  return {.bytes = (2 * args.weight.size() + args.kept.size() + args.out.size() + args.d_out.size() + args.d_x.size() +
                    args.d_bias.size) *
                   kFloat,
          .flops = 4 * args.d_x.size() * args.out.cols};
}

}  // namespace sheaf::recurrent
