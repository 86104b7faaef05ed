#include <algorithm>
#include <limits>

#include "kernels/core/parallel.hpp"
#include "kernels/core/score_tile.hpp"
#include "kernels/core/top_k.hpp"
#include "kernels/dense/score_topk.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kQueryBlock = 32;  // queries that share one packed tile

// Offers the tile's items that are not in the query's exclude row; `cursor` walks that row along with the tiles.
void offer_tile(const ScoreTopkArgs& args, int64_t first_item, const float* scores, int64_t exclude_end,
                int64_t& cursor, TopKList& list) {
  const int64_t last_item = std::min(first_item + kScoreTile, args.items.rows);
  for (int64_t i = first_item; i < last_item; ++i) {
    if (cursor < exclude_end && args.exclude.columns[cursor] == i) {
      ++cursor;
      continue;
    }
    const float score = scores[i - first_item] + (args.item_bias.empty() ? 0.0f : args.item_bias[i]);
    const auto id = static_cast<int32_t>(i);
    if (list.accepts(score, id)) list.insert(score, id);
  }
}

}  // namespace

void score_topk(Context& context, const ScoreTopkArgs& args) {
  const int64_t dim = args.items.cols;
  const auto k = static_cast<int32_t>(args.top_items.cols);
  ScratchScope scratch(context);
  float* tiles = scratch.take<float>(context.n_threads() * std::max<int64_t>(dim, 1) * kScoreTile);
  parallel_for(context, args.queries.rows, kQueryBlock, [&](int64_t begin, int64_t end, int thread) {
    float* packed = tiles + thread * std::max<int64_t>(dim, 1) * kScoreTile;
    TopKList lists[kQueryBlock];
    int64_t cursors[kQueryBlock] = {};
    for (int64_t q = begin; q < end; ++q) {
      lists[q - begin] = {args.top_scores.row(q), args.top_items.row(q), k, 0};
      if (args.exclude.n_rows) cursors[q - begin] = args.exclude.row_offsets[q];
    }
    for (int64_t first = 0; first < args.items.rows; first += kScoreTile) {
      pack_tile(args.items, first, packed);
      for (int64_t q = begin; q < end; ++q) {
        float scores[kScoreTile];
        score_tile(args.queries.row(q), packed, dim, scores);
        const int64_t exclude_end = args.exclude.n_rows ? args.exclude.row_offsets[q + 1] : 0;
        offer_tile(args, first, scores, exclude_end, cursors[q - begin], lists[q - begin]);
      }
    }
    for (int64_t q = begin; q < end; ++q) lists[q - begin].fill_rest(-std::numeric_limits<float>::infinity(), -1);
  });
}

}  // namespace sheaf::dense::cpu
