#pragma once
/// One row of association::count_topk: the code that both backends share.

#include "kernels/association/count_topk.hpp"
#include "kernels/core/top_k.hpp"

namespace sheaf::association {

SHEAF_HD inline void count_topk_row(const CountTopkArgs& args, int64_t i) {
  TopKList list{args.scores.row(i), args.neighbours.row(i), static_cast<int32_t>(args.neighbours.cols), 0};
  for (int64_t e = args.row_offsets[i]; e < args.row_offsets[i + 1]; ++e) {
    const int32_t j = args.companions[e];
    const auto score = static_cast<float>(
        measure_pair(args.measure, args.counts[e], args.item_counts[i], args.item_counts[j], args.n_baskets));
    if (score >= args.min_score && list.accepts(score, j)) list.insert(score, j);
  }
  list.fill_rest(0.0f, -1);
}

}  // namespace sheaf::association
