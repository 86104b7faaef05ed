#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/matmul.cuh"
#include "kernels/core/cuda/row_products.cuh"
#include "kernels/dense/linear.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kLinearBlock = 256;

__global__ void relu_gradient_kernel(const float* out, float* d_out, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kLinearBlock + threadIdx.x;
  if (i < n && !(out[i] > 0.0f)) d_out[i] = 0.0f;
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
    launch(relu_gradient_kernel, blocks_for(args.d_out.size(), kLinearBlock), kLinearBlock, 0, context, args.out.data,
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
  row_products(context,
               {n_out, n_in, n, args.d_out.data, args.x.data, args.d_weight.data, args.d_bias.data, kLinearPiece});
}

}  // namespace sheaf::dense::cuda
