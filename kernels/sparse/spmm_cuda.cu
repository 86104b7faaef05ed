#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/sparse/spmm.hpp"

namespace sheaf::sparse::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kSpmmBlock = kWarps * kWarp;
constexpr int64_t kLongRow = 256;  // entries; a longer row is shared by the warps of its block

/// Of row r and column c: every `stride`-th entry from `begin` on.
__device__ float partial_sum(const SpmmArgs& args, int64_t begin, int64_t end, int stride, int64_t c) {
  float sum = 0.0f;
  for (int64_t e = begin; e < end; e += stride) {
    const int32_t column = args.graph.columns[e];
    float weight = args.graph.values ? args.graph.values[e] : 1.0f;
    if (!args.column_scale.empty()) weight *= args.column_scale[column];
    sum += weight * args.in(column, c);
  }
  return sum;
}

__device__ void write(const SpmmArgs& args, int64_t r, int64_t c, float sum) {
  const float value = args.row_scale.empty() ? sum : sum * args.row_scale[r];
  args.out(r, c) = value;
  if (args.mean.rows == 0) return;
  const float mean = args.mean(r, c);
  args.mean(r, c) = mean + (value - mean) / static_cast<float>(args.n_in_mean + 1);
}

// A block has as many rows as warps. A short row belongs to one warp, its lanes over the columns. All warps share a
// long row, and their sums are added in the order of the warps: popular items have a thousand times the entries of
// others.
__global__ void spmm_shared_rows_kernel(SpmmArgs args) {
  __shared__ float partial[kWarps][kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kWarps, dim = args.in.cols;
  const int64_t own = first + warp;
  if (own < args.graph.n_rows && args.graph.row_size(own) <= kLongRow) {
    const int64_t begin = args.graph.row_offsets[own], end = args.graph.row_offsets[own + 1];
    for (int64_t c = lane; c < dim; c += kWarp) write(args, own, c, partial_sum(args, begin, end, 1, c));
  }
  for (int64_t r = first; r < first + kWarps && r < args.graph.n_rows; ++r) {
    if (args.graph.row_size(r) <= kLongRow) continue;
    const int64_t begin = args.graph.row_offsets[r], end = args.graph.row_offsets[r + 1];
    for (int64_t columns = 0; columns < dim; columns += kWarp) {
      const int64_t c = columns + lane;
      partial[warp][lane] = c < dim ? partial_sum(args, begin + warp, end, kWarps, c) : 0.0f;
      __syncthreads();
      if (warp == 0 && c < dim) {
        float sum = 0.0f;
        for (int w = 0; w < kWarps; ++w) sum += partial[w][lane];
        write(args, r, c, sum);
      }
      __syncthreads();
    }
  }
}

}  // namespace

void spmm(Context& context, const SpmmArgs& args) {
  launch(spmm_shared_rows_kernel, blocks_for(args.graph.n_rows, kWarps), kSpmmBlock, 0, context, args);
}

}  // namespace sheaf::sparse::cuda
