#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/matmul.cuh"
#include "kernels/core/cuda/reduce.cuh"
#include "kernels/dense/linear.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kColumnBlock = 128;

__global__ void relu_gradient_kernel(const float* out, float* d_out, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i < n && !(out[i] > 0.0f)) d_out[i] = 0.0f;
}

// A thread one column of one piece; neighbours read neighbours.
__global__ void bias_sums_kernel(MatrixView<const float> rows, float* partials) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kColumnBlock + threadIdx.x;
  if (column >= rows.cols) return;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * kLinearPiece;
  const int64_t end = first + kLinearPiece < rows.rows ? first + kLinearPiece : rows.rows;
  float sum = 0.0f;
  for (int64_t r = first; r < end; ++r) sum += rows(r, column);
  partials[blockIdx.y * rows.cols + column] = sum;
}

}  // namespace

void linear(Context& context, const LinearArgs& args) {
  const int64_t n_in = args.x.cols, n_out = args.weight.rows;
  matmul<false, true>(context, {.m = args.x.rows,
                                .n = n_out,
                                .k = n_in,
                                .a = args.x.data,
                                .lda = n_in,
                                .b = args.weight.data,
                                .ldb = n_in,
                                .out = args.out.data,
                                .ldo = n_out,
                                .column_bias = args.bias.data,
                                .accumulate = false,
                                .relu = args.relu});
}

void linear_backward(Context& context, const LinearBackwardArgs& args) {
  const int64_t n = args.x.rows, n_in = args.x.cols, n_out = args.weight.rows;
  if (args.relu && n > 0) {
    launch(relu_gradient_kernel, blocks_for(args.d_out.size(), kBlock), kBlock, 0, context, args.out.data,
           args.d_out.data, args.d_out.size());
  }
  matmul<false, false>(context, {.m = n,
                                 .n = n_in,
                                 .k = n_out,
                                 .a = args.d_out.data,
                                 .lda = n_out,
                                 .b = args.weight.data,
                                 .ldb = n_in,
                                 .out = args.d_x.data,
                                 .ldo = n_in,
                                 .column_bias = nullptr,
                                 .accumulate = false});
  // Few outputs of very many terms: slices of them fill the device.
  const int64_t n_pieces = n > kLinearPiece ? (n + kLinearPiece - 1) / kLinearPiece : 1;
  ScratchScope scratch(context);
  float* weights = scratch.take<float>(n_pieces * n_out * n_in);
  float* biases = scratch.take<float>(n_pieces * n_out);
  matmul<true, false>(context, {.m = n_out,
                                .n = n_in,
                                .k = n,
                                .a = args.d_out.data,
                                .lda = n_out,
                                .b = args.x.data,
                                .ldb = n_in,
                                .out = weights,
                                .ldo = n_in,
                                .column_bias = nullptr,
                                .accumulate = false,
                                .k_slice = kLinearPiece});
  launch(bias_sums_kernel, dim3(blocks_for(n_out, kColumnBlock), static_cast<unsigned>(n_pieces)), kColumnBlock, 0,
         context, MatrixView<const float>(args.d_out), biases);
  add_partials(context, weights, n_pieces, n_out * n_in, false, 1.0, args.d_weight.data);
  add_partials(context, biases, n_pieces, n_out, false, 1.0, args.d_bias.data);
}

}  // namespace sheaf::dense::cuda
