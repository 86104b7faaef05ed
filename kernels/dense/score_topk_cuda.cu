#include "kernels/core/cuda/launch.cuh"
#include "kernels/dense/score_topk.hpp"
#include "kernels/dense/top_k_row.cuh"

namespace sheaf::dense::cuda {
namespace {

constexpr int kScoreTopkBlock = 128;

struct LinearScore {
  const ScoreTopkArgs& args;
  int64_t q;
  __device__ float operator()(int64_t i) const {
    float score = 0.0f;
    for (int64_t c = 0; c < args.items.cols; ++c) score += args.queries(q, c) * args.items(i, c);
    return args.item_bias.empty() ? score : score + args.item_bias[i];
  }
};

// One block a query, one thread an item of each tile.
__global__ void score_topk_block_kernel(ScoreTopkArgs args) {
  __shared__ TopKRow<kScoreTopkBlock> shared;
  const int64_t q = blockIdx.x;
  const LinearScore score_of{args, q};
  const int64_t exclude_row = args.exclude_rows.empty() ? q : args.exclude_rows[q];
  block_top_k_row<kScoreTopkBlock>(args.items.rows, score_of, args.exclude, exclude_row, shared,
                                   static_cast<int32_t>(args.top_items.cols), args.top_items.row(q),
                                   args.top_scores.row(q));
}

}  // namespace

void score_topk(Context& context, const ScoreTopkArgs& args) {
  launch(score_topk_block_kernel, static_cast<unsigned>(args.queries.rows), kScoreTopkBlock, 0, context, args);
}

}  // namespace sheaf::dense::cuda
