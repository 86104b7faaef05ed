#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/top_k.cuh"
#include "kernels/dense/score_topk.hpp"

namespace sheaf::dense::cuda {
namespace {

constexpr int kBlock = 128;

__device__ bool is_excluded(const CsrView& exclude, int64_t query, int64_t item) {
  if (exclude.n_rows == 0) return false;
  int64_t low = exclude.row_offsets[query];
  int64_t high = exclude.row_offsets[query + 1];
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (exclude.columns[middle] < item) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < exclude.row_offsets[query + 1] && exclude.columns[low] == item;
}

// One block a query, one thread an item of each tile.
__global__ void score_topk_block_kernel(ScoreTopkArgs args) {
  __shared__ float list_scores[kMaxTopK];
  __shared__ int32_t list_ids[kMaxTopK];
  __shared__ TopKList list;
  __shared__ float pending_scores[kBlock];
  __shared__ int32_t pending_ids[kBlock];
  __shared__ int pending_count;
  const int64_t q = blockIdx.x;
  const auto k = static_cast<int32_t>(args.top_items.cols);
  if (threadIdx.x == 0) list = TopKList{list_scores, list_ids, k, 0};
  __syncthreads();
  for (int64_t first = 0; first < args.items.rows; first += kBlock) {
    const int64_t i = first + threadIdx.x;
    bool valid = i < args.items.rows;
    float score = 0.0f;
    if (valid) {
      for (int64_t c = 0; c < args.items.cols; ++c) score += args.queries(q, c) * args.items(i, c);
      if (!args.item_bias.empty()) score += args.item_bias[i];
      valid = list.accepts(score, static_cast<int32_t>(i)) && !is_excluded(args.exclude, q, i);
    }
    block_top_k_insert<kBlock>(list, valid, score, static_cast<int32_t>(i), pending_scores, pending_ids,
                               &pending_count);
  }
  for (int32_t r = threadIdx.x; r < k; r += kBlock) {
    const bool filled = r < list.size;
    args.top_items(q, r) = filled ? list_ids[r] : -1;
    args.top_scores(q, r) = filled ? list_scores[r] : -INFINITY;
  }
}

}  // namespace

void score_topk(Context& context, const ScoreTopkArgs& args) {
  launch(score_topk_block_kernel, static_cast<unsigned>(args.queries.rows), kBlock, 0, context, args);
}

}  // namespace sheaf::dense::cuda
