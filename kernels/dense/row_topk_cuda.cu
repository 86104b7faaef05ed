#include "kernels/core/cuda/launch.cuh"
#include "kernels/dense/row_topk.hpp"
#include "kernels/dense/top_k_row.cuh"

namespace sheaf::dense::cuda {
namespace {

constexpr int kRowTopkBlock = 128;

struct GivenScore {
  const float* scores;
  __device__ float operator()(int64_t i) const { return scores[i]; }
};

// One block a row, one thread an item of each tile.
__global__ void row_topk_block_kernel(RowTopkArgs args) {
  __shared__ TopKRow<kRowTopkBlock> shared;
  const int64_t r = blockIdx.x;
  const GivenScore score_of{args.scores.row(r)};
  const int64_t exclude_row = args.exclude_rows.empty() ? r : args.exclude_rows[r];
  block_top_k_row<kRowTopkBlock>(args.scores.cols, score_of, args.exclude, exclude_row, shared,
                                 static_cast<int32_t>(args.top_items.cols), args.top_items.row(r),
                                 args.top_scores.row(r));
}

}  // namespace

void row_topk(Context& context, const RowTopkArgs& args) {
  launch(row_topk_block_kernel, blocks_for(args.scores.rows, 1), kRowTopkBlock, 0, context, args);
}

}  // namespace sheaf::dense::cuda
