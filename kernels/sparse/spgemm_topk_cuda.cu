#include <algorithm>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/top_k.cuh"
#include "kernels/sparse/spgemm_topk.hpp"

namespace sheaf::sparse::cuda {
namespace {

constexpr int kSpgemmTopkBlock = 256;
constexpr int kMaxK = 256;
constexpr int64_t kMaxBlocks = 1024;                       // persistent; each owns a row of accumulators
constexpr int64_t kAccumulatorBytes = int64_t{256} << 20;  // at most this much for all of them

// A block processes one user at a time. There is a barrier between two history entries, and the columns of a similarity
// row are unique. So no two threads add to one place, and the order of additions is fixed.
__global__ void spgemm_topk_kernel(SpgemmTopkArgs args, float* accumulators) {
  __shared__ float list_scores[kMaxK];
  __shared__ int32_t list_ids[kMaxK];
  __shared__ TopKList list;
  __shared__ float pending_scores[kSpgemmTopkBlock];
  __shared__ int32_t pending_ids[kSpgemmTopkBlock];
  __shared__ int pending_count;
  const int64_t n_items = args.similarity.n_columns;
  const auto k = static_cast<int32_t>(args.top_items.cols);
  float* score = accumulators + static_cast<int64_t>(blockIdx.x) * n_items;
  for (int64_t u = blockIdx.x; u < args.history.n_rows; u += gridDim.x) {
    for (int64_t i = threadIdx.x; i < n_items; i += kSpgemmTopkBlock) score[i] = 0.0f;
    if (threadIdx.x == 0) list = TopKList{list_scores, list_ids, k, 0};
    __syncthreads();
    for (int64_t e = args.history.row_offsets[u]; e < args.history.row_offsets[u + 1]; ++e) {
      const float weight = args.history.values ? args.history.values[e] : 1.0f;
      const int32_t j = args.history.columns[e];
      const int64_t end = args.similarity.row_offsets[j + 1];
      for (int64_t s = args.similarity.row_offsets[j] + threadIdx.x; s < end; s += kSpgemmTopkBlock) {
        score[args.similarity.columns[s]] += weight * args.similarity.values[s];
      }
      __syncthreads();
    }
    if (args.exclude.n_rows) {
      const int64_t end = args.exclude.row_offsets[u + 1];
      for (int64_t e = args.exclude.row_offsets[u] + threadIdx.x; e < end; e += kSpgemmTopkBlock)
        score[args.exclude.columns[e]] = 0.0f;
      __syncthreads();
    }
    for (int64_t first = 0; first < n_items; first += kSpgemmTopkBlock) {
      const int64_t i = first + threadIdx.x;
      float value = i < n_items ? score[i] : 0.0f;
      if (i < n_items && !args.item_length.empty()) value /= args.row_length[u] * args.item_length[i] + args.shrink;
      block_top_k_insert<kSpgemmTopkBlock>(list, value > 0.0f, value, static_cast<int32_t>(i), pending_scores,
                                           pending_ids, &pending_count);
    }
    for (int32_t r = threadIdx.x; r < k; r += kSpgemmTopkBlock) {
      const bool filled = r < list.size;
      args.top_items(u, r) = filled ? list_ids[r] : -1;
      args.top_scores(u, r) = filled ? list_scores[r] : 0.0f;
    }
    __syncthreads();
  }
}

}  // namespace

void spgemm_topk(Context& context, const SpgemmTopkArgs& args) {
  const int64_t n_items = args.similarity.n_columns;
  const int64_t row_bytes = std::max<int64_t>(n_items, 1) * static_cast<int64_t>(sizeof(float));
  const int64_t n_blocks =
      std::clamp<int64_t>(kAccumulatorBytes / row_bytes, 1, std::min(kMaxBlocks, args.history.n_rows));
  ScratchScope scratch(context);
  float* accumulators = scratch.take<float>(n_blocks * n_items);
  launch(spgemm_topk_kernel, static_cast<unsigned>(n_blocks), kSpgemmTopkBlock, 0, context, args, accumulators);
}

}  // namespace sheaf::sparse::cuda
