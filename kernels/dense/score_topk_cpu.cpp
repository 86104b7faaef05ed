#include <algorithm>
#include <limits>

#include "kernels/core/parallel.hpp"
#include "kernels/core/score_tile.hpp"
#include "kernels/core/top_k.hpp"
#include "kernels/dense/score_topk.hpp"
#include "kernels/dense/top_k_row.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kQueryBlock = 32;  // queries that share one packed tile

}  // namespace

void score_topk(Context& context, const ScoreTopkArgs& args) {
  const int64_t dim = args.items.cols;
  const auto k = static_cast<int32_t>(args.top_items.cols);
  ScratchScope scratch(context);
  float* tiles = scratch.take<float>(context.n_threads() * std::max<int64_t>(dim, 1) * kScoreTile);
  parallel_for(context, args.queries.rows, kQueryBlock, [&](int64_t begin, int64_t end, int thread) {
    float* packed = tiles + thread * std::max<int64_t>(dim, 1) * kScoreTile;
    TopKList lists[kQueryBlock];
    ExcludeWalk excludes[kQueryBlock];
    for (int64_t q = begin; q < end; ++q) {
      lists[q - begin] = {args.top_scores.row(q), args.top_items.row(q), k, 0};
      excludes[q - begin] = ExcludeWalk(args.exclude, args.exclude_rows.empty() ? q : args.exclude_rows[q]);
    }
    for (int64_t first = 0; first < args.items.rows; first += kScoreTile) {
      const int64_t last = std::min(first + kScoreTile, args.items.rows);
      pack_tile(args.items, first, packed);
      for (int64_t q = begin; q < end; ++q) {
        float scores[kScoreTile];
        score_tile(args.queries.row(q), packed, dim, scores);
        const auto score_of = [&](int64_t i) {
          return scores[i - first] + (args.item_bias.empty() ? 0.0f : args.item_bias[i]);
        };
        offer_items(first, last, score_of, excludes[q - begin], lists[q - begin]);
      }
    }
    for (int64_t q = begin; q < end; ++q) lists[q - begin].fill_rest(-std::numeric_limits<float>::infinity(), -1);
  });
}

}  // namespace sheaf::dense::cpu
