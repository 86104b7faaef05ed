#include "kernels/association/cosine_topk.hpp"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/top_k.cuh"

namespace sheaf::association::cuda {
namespace {

constexpr int kBlock = 128;
constexpr int kMaxK = 256;

// One warp a row; rows without direction (zero length, NaN or infinity) become zeros.
__global__ void normalize_rows_kernel(MatrixView<const float> vectors, MatrixView<float> unit) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) / kWarp;
  if (i >= vectors.rows) return;
  const int lane = threadIdx.x % kWarp;
  double squares = 0;
  for (int64_t c = lane; c < vectors.cols; c += kWarp) {
    const double x = vectors(i, c);
    squares += x * x;
  }
  squares = warp_sum(squares);
  const bool has_direction = squares > 0 && squares < static_cast<double>(INFINITY);
  const double inverse = has_direction ? 1.0 / sqrt(squares) : 0.0;
  for (int64_t c = lane; c < vectors.cols; c += kWarp) {
    unit(i, c) = has_direction ? static_cast<float>(static_cast<double>(vectors(i, c)) * inverse) : 0.0f;
  }
}

// One block a row, one thread a column of each tile.
__global__ void cosine_topk_block_kernel(CosineTopkArgs args, MatrixView<const float> unit) {
  __shared__ float list_scores[kMaxK];
  __shared__ int32_t list_ids[kMaxK];
  __shared__ TopKList list;
  __shared__ float pending_scores[kBlock];
  __shared__ int32_t pending_ids[kBlock];
  __shared__ int pending_count;
  const int64_t i = blockIdx.x;
  const auto k = static_cast<int32_t>(args.neighbours.cols);
  if (threadIdx.x == 0) list = TopKList{list_scores, list_ids, k, 0};
  __syncthreads();
  for (int64_t first = 0; first < unit.rows; first += kBlock) {
    const int64_t j = first + threadIdx.x;
    float score = 0.0f;
    if (j < unit.rows && j != i) {
      float cosine = 0.0f;
      for (int64_t c = 0; c < unit.cols; ++c) cosine += unit(i, c) * unit(j, c);
      score = fminf(cosine, 1.0f) * args.scale;
    }
    const bool valid = score > 0.0f && score >= args.min_score;
    block_top_k_insert<kBlock>(list, valid, score, static_cast<int32_t>(j), pending_scores, pending_ids,
                               &pending_count);
  }
  for (int32_t r = threadIdx.x; r < k; r += kBlock) {
    const bool filled = r < list.size;
    args.neighbours(i, r) = filled ? list_ids[r] : -1;
    args.scores(i, r) = filled ? list_scores[r] : 0.0f;
  }
}

}  // namespace

void cosine_topk(Context& context, const CosineTopkArgs& args) {
  const int64_t n = args.vectors.rows;
  ScratchScope scratch(context);
  const MatrixView<float> unit{scratch.take<float>(args.vectors.size()), n, args.vectors.cols};
  launch(normalize_rows_kernel, blocks_for(n, kBlock / kWarp), kBlock, 0, context, args.vectors, unit);
  launch(cosine_topk_block_kernel, static_cast<unsigned>(n), kBlock, 0, context, args, unit);
}

}  // namespace sheaf::association::cuda
