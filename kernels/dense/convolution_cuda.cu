#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/matmul.cuh"
#include "kernels/core/cuda/reduce.cuh"
#include "kernels/core/cuda/row_products.cuh"
#include "kernels/dense/convolution.hpp"
#include "kernels/dense/convolution_pool.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kConvolutionBlock = 256;

// A thread one filter of one row; neighbours read neighbours. hidden is h already.
__global__ void __launch_bounds__(kConvolutionBlock) convolution_pool_kernel(ConvolutionArgs args, int64_t positions) {
  const int64_t n_filters = args.filters.rows;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kConvolutionBlock + threadIdx.x;
  if (at >= args.x.rows * n_filters) return;
  const int64_t r = at / n_filters, f = at % n_filters;
  const float* hidden = args.hidden.row(r) + f;
  float& out = args.out(r, args.first_column + f);
  if (args.pooling == ConvolutionPooling::mean) {
    float sum = 0.0f;
    for (int64_t j = 0; j < positions; ++j) sum += hidden[j * n_filters];
    out = sum / static_cast<float>(positions);
    return;
  }
  float largest = hidden[0];
  int32_t winner = 0;
  for (int64_t j = 1; j < positions; ++j) {
    const float value = hidden[j * n_filters];
    if (!is_larger(value, largest)) continue;
    largest = value;
    winner = static_cast<int32_t>(j);
  }
  out = largest;
  args.winner(r, f) = winner;
}

// A thread one filter of one row: its h of all positions becomes D.
__global__ void __launch_bounds__(kConvolutionBlock)
    convolution_gradient_kernel(ConvolutionBackwardArgs args, int64_t positions) {
  const int64_t n_filters = args.filters.rows;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kConvolutionBlock + threadIdx.x;
  if (at >= args.x.rows * n_filters) return;
  const int64_t r = at / n_filters, f = at % n_filters;
  float* hidden = args.hidden.row(r) + f;
  const float d_out = args.d_out(r, args.first_column + f);
  const bool by_winner = args.pooling == ConvolutionPooling::max;
  const int64_t winner = by_winner ? args.winner(r, f) : 0;
  const float each = d_out / static_cast<float>(positions);
  for (int64_t j = 0; j < positions; ++j) {
    const float share = by_winner ? (j == winner ? d_out : 0.0f) : each;
    hidden[j * n_filters] = hidden_gradient(hidden[j * n_filters], share);
  }
}

}  // namespace

void convolution(Context& context, const ConvolutionArgs& args) {
  const ConvolutionShape s = shape_of(args);
  // What a filter covers at one position is a piece of the row: no copies of neighbours are made.
  for (int64_t j = 0; j < s.positions; ++j) {
    matmul<false, true>(context, {.m = s.n,
                                  .n = s.n_filters,
                                  .k = s.span,
                                  .a = args.x.data + j * s.channels,
                                  .lda = s.row,
                                  .b = args.filters.data,
                                  .ldb = s.span,
                                  .out = args.hidden.data + j * s.n_filters,
                                  .ldo = s.hidden_row(),
                                  .column_bias = args.bias.data,
                                  .accumulate = false,
                                  .relu = true});
  }
  launch(convolution_pool_kernel, blocks_for(s.n * s.n_filters, kConvolutionBlock), kConvolutionBlock, 0, context, args,
         s.positions);
}

void convolution_backward(Context& context, const ConvolutionBackwardArgs& args) {
  const ConvolutionShape s = shape_of(args);
  launch(convolution_gradient_kernel, blocks_for(s.n * s.n_filters, kConvolutionBlock), kConvolutionBlock, 0, context,
         args, s.positions);
  if (!args.add_to_d_x) context.fill_bytes(args.d_x.data, 0, static_cast<size_t>(args.d_x.size()) * sizeof(float));
  const int64_t size = args.filters.size();
  ScratchScope scratch(context);
  float* products = scratch.take<float>(s.positions * size);
  float* sums = scratch.take<float>(s.positions * s.n_filters);
  for (int64_t j = 0; j < s.positions; ++j) {
    const float* d = args.hidden.data + j * s.n_filters;
    matmul<false, false>(context, {.m = s.n,
                                   .n = s.span,
                                   .k = s.n_filters,
                                   .a = d,
                                   .lda = s.hidden_row(),
                                   .b = args.filters.data,
                                   .ldb = s.span,
                                   .out = args.d_x.data + j * s.channels,
                                   .ldo = s.row,
                                   .column_bias = nullptr,
                                   .accumulate = true});
    row_products(context, {.m = s.n_filters,
                           .n = s.span,
                           .k = s.n,
                           .a = d,
                           .b = args.x.data + j * s.channels,
                           .out = products + j * size,
                           .sums = sums + j * s.n_filters,
                           .piece = kConvolutionPiece,
                           .lda = s.hidden_row(),
                           .ldb = s.row});
  }
  add_partials(context, products, s.positions, size, false, 1.0, args.d_filters.data);
  add_partials(context, sums, s.positions, s.n_filters, false, 1.0, args.d_bias.data);
}

}  // namespace sheaf::dense::cuda
