#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/reduce.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/dense/residual_norm.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kResidualNormBlock = 128;
constexpr int kResidualNormWarps = kResidualNormBlock / kWarp;
constexpr int kColumnBlock = 64;
constexpr int kResidualNormOwn = 4;  // neighbouring columns of a lane: one Philox call

struct Dropout {
  float rate, scale;
  RandomKey key;
  int64_t first_row;
};

Dropout make_dropout(float rate, RandomKey key, int64_t first_row) {
  return {rate, 1.0f / (1.0f - rate), key, first_row};
}

// 1 / (1 - rate) or 0 for columns 4 * block .. 4 * block + 3.
__device__ inline void keep4(const Dropout& dropout, int64_t row, int64_t block, float* keep) {
  if (dropout.rate == 0.0f) {
    for (int j = 0; j < kResidualNormOwn; ++j) keep[j] = 1.0f;
    return;
  }
  const Random4 draw =
      random4(dropout.key, static_cast<uint64_t>(dropout.first_row + row), static_cast<uint32_t>(block));
#pragma unroll
  for (int j = 0; j < kResidualNormOwn; ++j) keep[j] = uniform01(draw.v[j]) >= dropout.rate ? dropout.scale : 0.0f;
}

// A warp one row. What it reads a second and third time comes from the first-level cache.
__global__ void __launch_bounds__(kResidualNormBlock) residual_norm_kernel(ResidualNormArgs args, Dropout dropout) {
  const int64_t r = static_cast<int64_t>(blockIdx.x) * kResidualNormWarps + threadIdx.x / kWarp;
  if (r >= args.x.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t dim = args.x.cols;
  const float* x = args.x.row(r);
  const float* residual = args.residual.rows > 0 ? args.residual.row(r) : nullptr;
  float* sum = args.sum.row(r);
  float total = 0.0f;
  for (int64_t block = lane; block * kResidualNormOwn < dim; block += kWarp) {
    float keep[kResidualNormOwn];
    keep4(dropout, r, block, keep);
    for (int j = 0; j < kResidualNormOwn && block * kResidualNormOwn + j < dim; ++j) {
      const int64_t c = block * kResidualNormOwn + j;
      // A dropped value is 0 even where it is not finite.
      const float kept = keep[j] > 0.0f ? keep[j] * x[c] : 0.0f;
      const float value = residual ? residual[c] + kept : kept;
      sum[c] = value;
      total += value;
    }
  }
  const float mean = warp_sum(total) / static_cast<float>(dim);
  float squares = 0.0f;
  for (int64_t block = lane; block * kResidualNormOwn < dim; block += kWarp) {
    for (int64_t c = block * kResidualNormOwn; c < block * kResidualNormOwn + kResidualNormOwn && c < dim; ++c)
      squares += (sum[c] - mean) * (sum[c] - mean);
  }
  const float scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(dim) + kNormEpsilon);
  for (int64_t block = lane; block * kResidualNormOwn < dim; block += kWarp) {
    for (int64_t c = block * kResidualNormOwn; c < block * kResidualNormOwn + kResidualNormOwn && c < dim; ++c) {
      args.normed(r, c) = (sum[c] - mean) * scale * args.weight[c] + args.bias[c];
    }
  }
  if (lane == 0) {
    args.moments(r, 0) = mean;
    args.moments(r, 1) = scale;
  }
}

__global__ void __launch_bounds__(kResidualNormBlock)
    residual_norm_backward_kernel(ResidualNormBackwardArgs args, Dropout dropout) {
  const int64_t r = static_cast<int64_t>(blockIdx.x) * kResidualNormWarps + threadIdx.x / kWarp;
  if (r >= args.sum.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t dim = args.sum.cols;
  const float mean = args.moments(r, 0), scale = args.moments(r, 1);
  const float* sum = args.sum.row(r);
  const float* d_normed = args.d_normed.row(r);
  float g_total = 0.0f, gh_total = 0.0f;
  for (int64_t block = lane; block * kResidualNormOwn < dim; block += kWarp) {
    for (int64_t c = block * kResidualNormOwn; c < block * kResidualNormOwn + kResidualNormOwn && c < dim; ++c) {
      const float g = d_normed[c] * args.weight[c];
      g_total += g;
      gh_total += g * ((sum[c] - mean) * scale);
    }
  }
  const float g_mean = warp_sum(g_total) / static_cast<float>(dim);
  const float gh_mean = warp_sum(gh_total) / static_cast<float>(dim);
  for (int64_t block = lane; block * kResidualNormOwn < dim; block += kWarp) {
    float keep[kResidualNormOwn];
    keep4(dropout, r, block, keep);
    for (int j = 0; j < kResidualNormOwn && block * kResidualNormOwn + j < dim; ++j) {
      const int64_t c = block * kResidualNormOwn + j;
      const float norm = scale * (d_normed[c] * args.weight[c] - g_mean - (sum[c] - mean) * scale * gh_mean);
      const float d_sum = args.d_residual.rows > 0 ? args.d_residual(r, c) + norm : norm;
      args.d_sum(r, c) = d_sum;
      args.d_x(r, c) = keep[j] > 0.0f ? keep[j] * d_sum : 0.0f;
    }
  }
}

// Runs before the rows' kernel, which may overwrite d_normed. A thread one column of one piece; neighbours read
// neighbours.
__global__ void __launch_bounds__(kColumnBlock)
    residual_norm_columns_kernel(ResidualNormBackwardArgs args, float* partials) {
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kColumnBlock + threadIdx.x;
  const int64_t dim = args.sum.cols;
  if (c >= dim) return;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * kResidualNormPiece;
  const int64_t end = first + kResidualNormPiece < args.sum.rows ? first + kResidualNormPiece : args.sum.rows;
  float weight = 0.0f, bias = 0.0f;
  for (int64_t r = first; r < end; ++r) {
    const float d = args.d_normed(r, c);
    weight += d * ((args.sum(r, c) - args.moments(r, 0)) * args.moments(r, 1));
    bias += d;
  }
  partials[blockIdx.y * 2 * dim + c] = weight;
  partials[blockIdx.y * 2 * dim + dim + c] = bias;
}

}  // namespace

void residual_norm(Context& context, const ResidualNormArgs& args) {
  launch(residual_norm_kernel, blocks_for(args.x.rows, kResidualNormWarps), kResidualNormBlock, 0, context, args,
         make_dropout(args.rate, args.key, args.first_row));
}

void residual_norm_backward(Context& context, const ResidualNormBackwardArgs& args) {
  const int64_t dim = args.sum.cols;
  const int64_t n_pieces =
      args.sum.rows > kResidualNormPiece ? (args.sum.rows + kResidualNormPiece - 1) / kResidualNormPiece : 1;
  ScratchScope scratch(context);
  float* partials = scratch.take<float>(n_pieces * 2 * dim);
  float* sums = scratch.take<float>(2 * dim);
  launch(residual_norm_columns_kernel, dim3(blocks_for(dim, kColumnBlock), static_cast<unsigned>(n_pieces)),
         kColumnBlock, 0, context, args, partials);
  add_partials(context, partials, n_pieces, 2 * dim, false, 1.0, sums);
  context.copy(args.d_weight.data, sums, static_cast<size_t>(dim) * sizeof(float));
  context.copy(args.d_bias.data, sums + dim, static_cast<size_t>(dim) * sizeof(float));
  if (args.sum.rows > 0) {
    launch(residual_norm_backward_kernel, blocks_for(args.sum.rows, kResidualNormWarps), kResidualNormBlock, 0, context,
           args, make_dropout(args.rate, args.key, args.first_row));
  }
}

}  // namespace sheaf::dense::cuda
