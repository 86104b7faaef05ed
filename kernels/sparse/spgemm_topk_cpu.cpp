#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/core/top_k.hpp"
#include "kernels/sparse/spgemm_topk.hpp"

namespace sheaf::sparse::cpu {

void spgemm_topk(Context& context, const SpgemmTopkArgs& args) {
  constexpr int64_t kGrain = 8;
  const int64_t n_items = args.similarity.n_columns;
  const auto k = static_cast<int32_t>(args.top_items.cols);
  ScratchScope scratch(context);
  float* accumulators = scratch.take<float>(n_items * context.n_threads());
  parallel_for(context, args.history.n_rows, kGrain, [&](int64_t begin, int64_t end, int thread) {
    float* score = accumulators + thread * n_items;
    for (int64_t u = begin; u < end; ++u) {
      std::fill_n(score, n_items, 0.0f);
      for (int64_t e = args.history.row_offsets[u]; e < args.history.row_offsets[u + 1]; ++e) {
        const float weight = args.history.values ? args.history.values[e] : 1.0f;
        const int32_t j = args.history.columns[e];
        for (int64_t s = args.similarity.row_offsets[j]; s < args.similarity.row_offsets[j + 1]; ++s) {
          score[args.similarity.columns[s]] += weight * args.similarity.values[s];
        }
      }
      if (args.exclude.n_rows) {
        for (int64_t e = args.exclude.row_offsets[u]; e < args.exclude.row_offsets[u + 1]; ++e)
          score[args.exclude.columns[e]] = 0.0f;
      }
      TopKList list{args.top_scores.row(u), args.top_items.row(u), k, 0};
      for (int64_t i = 0; i < n_items; ++i) {
        const auto id = static_cast<int32_t>(i);
        if (!args.item_length.empty()) score[i] /= args.row_length[u] * args.item_length[i] + args.shrink;
        if (score[i] > 0.0f && list.accepts(score[i], id)) list.insert(score[i], id);
      }
      list.fill_rest(0.0f, -1);
    }
  });
}

}  // namespace sheaf::sparse::cpu
