#include <algorithm>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/matmul.cuh"
#include "kernels/core/cuda/reduce.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/loss/full_softmax.hpp"

namespace sheaf::loss::cuda {
namespace {

constexpr int kFullSoftmaxBlock = 256;

__device__ inline float block_max(float value, float* partial) {
  value = warp_max(value);
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = value;
  __syncthreads();
  float largest = partial[0];
  for (int warp = 1; warp < kFullSoftmaxBlock / kWarp; ++warp) largest = fmaxf(largest, partial[warp]);
  __syncthreads();
  return largest;
}

// A block turns one user's scores into gradients.
__global__ void softmax_row_kernel(FullSoftmaxArgs args, int64_t first_user, float* gradients, double* losses) {
  __shared__ float maxima[kFullSoftmaxBlock / kWarp];
  __shared__ double sums[kFullSoftmaxBlock / kWarp];
  const int64_t n_items = args.items.rows;
  const int64_t u = first_user + blockIdx.x;
  float* row = gradients + static_cast<int64_t>(blockIdx.x) * n_items;
  const int64_t begin = args.targets.row_offsets[u], end = args.targets.row_offsets[u + 1];

  float largest = row[0];
  for (int64_t i = threadIdx.x; i < n_items; i += kFullSoftmaxBlock) largest = fmaxf(largest, row[i]);
  largest = block_max(largest, maxima);
  double weights = 0, weighted_scores = 0;
  for (int64_t e = begin + threadIdx.x; e < end; e += kFullSoftmaxBlock) {
    const double weight = args.targets.values ? static_cast<double>(args.targets.values[e]) : 1.0;
    weights += weight;
    weighted_scores += weight * static_cast<double>(row[args.targets.columns[e]]);
  }
  weights = block_sum<kFullSoftmaxBlock>(weights, sums);
  weighted_scores = block_sum<kFullSoftmaxBlock>(weighted_scores, sums);
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n_items; i += kFullSoftmaxBlock) {
    row[i] = expf(row[i] - largest);
    sum += static_cast<double>(row[i]);
  }
  sum = block_sum<kFullSoftmaxBlock>(sum, sums);
  const auto factor = static_cast<float>(static_cast<double>(args.scale) * weights / sum);
  for (int64_t i = threadIdx.x; i < n_items; i += kFullSoftmaxBlock) row[i] *= factor;
  __syncthreads();
  for (int64_t e = begin + threadIdx.x; e < end; e += kFullSoftmaxBlock) {
    const float weight = args.targets.values ? args.targets.values[e] : 1.0f;
    row[args.targets.columns[e]] -= args.scale * weight;  // columns are unique in a row
  }
  if (threadIdx.x == 0) {
    const double log_sum = log(sum) + static_cast<double>(largest);
    losses[u] = static_cast<double>(args.scale) * (weights * log_sum - weighted_scores);
  }
}

__global__ void column_sums_kernel(const float* gradients, int64_t n_rows, int64_t n_items, bool accumulate,
                                   float* sums) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kFullSoftmaxBlock + threadIdx.x;
  if (i >= n_items) return;
  float sum = accumulate ? sums[i] : 0.0f;
  for (int64_t u = 0; u < n_rows; ++u) sum += gradients[u * n_items + i];
  sums[i] = sum;
}

}  // namespace

void full_softmax(Context& context, const FullSoftmaxArgs& args) {
  const int64_t n_users = args.users.rows, n_items = args.items.rows, dim = args.users.cols;
  const int64_t block = full_softmax_block(args);
  context.fill_bytes(args.d_items.data, 0, static_cast<size_t>(args.d_items.size()) * sizeof(float));
  context.fill_bytes(args.d_item_bias.data, 0, static_cast<size_t>(n_items) * sizeof(float));
  if (n_users == 0) return;
  ScratchScope scratch(context);
  float* gradients = scratch.take<float>(block * n_items);
  double* losses = scratch.take<double>(n_users);
  for (int64_t first = 0; first < n_users; first += block) {
    const int64_t n = std::min(block, n_users - first);
    const float* users = args.users.row(first);
    matmul<false, true>(
        context, {n, n_items, dim, users, dim, args.items.data, dim, gradients, n_items, args.item_bias.data, false});
    launch(softmax_row_kernel, static_cast<unsigned>(n), kFullSoftmaxBlock, 0, context, args, first, gradients, losses);
    matmul<false, false>(context, {n, dim, n_items, gradients, n_items, args.items.data, dim, args.d_users.row(first),
                                   dim, nullptr, false});
    matmul<true, false>(context,
                        {n_items, dim, n, gradients, n_items, users, dim, args.d_items.data, dim, nullptr, true});
    launch(column_sums_kernel, blocks_for(n_items, kFullSoftmaxBlock), kFullSoftmaxBlock, 0, context, gradients, n,
           n_items, true, args.d_item_bias.data);
  }
  add_partials(context, losses, n_users, 1, true, 1.0, args.loss.data);
}

}  // namespace sheaf::loss::cuda
