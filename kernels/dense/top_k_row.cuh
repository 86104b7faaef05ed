#pragma once
/// What score_topk and row_topk do alike to one row in a block.

#include "kernels/core/cuda/top_k.cuh"
#include "kernels/core/view.hpp"
#include "kernels/dense/score_topk.hpp"

namespace sheaf::dense::cuda {

__device__ inline bool is_excluded(const CsrView& exclude, int64_t row, int64_t item) {
  if (exclude.n_rows == 0) return false;
  int64_t low = exclude.row_offsets[row];
  int64_t high = exclude.row_offsets[row + 1];
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (exclude.columns[middle] < item) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < exclude.row_offsets[row + 1] && exclude.columns[low] == item;
}

/// The shared memory of a block's selection.
template <int kThreads>
struct TopKRow {
  TopKList list;
  float list_scores[kMaxTopK];
  int32_t list_ids[kMaxTopK];
  float pending_scores[kThreads];
  int32_t pending_ids[kThreads];
  int pending_count;
};

/// Called by all kThreads threads of a block: selects from items [0, n_items) those that are not in exclude row
/// `exclude_row` and writes ids and scores, k of each. score_of(i) gives the score; a thread takes an item of a tile.
template <int kThreads, class ScoreOf>
__device__ inline void block_top_k_row(int64_t n_items, const ScoreOf& score_of, const CsrView& exclude,
                                       int64_t exclude_row, TopKRow<kThreads>& shared, int32_t k, int32_t* top_items,
                                       float* top_scores) {
  TopKList& list = shared.list;
  if (threadIdx.x == 0) list = TopKList{shared.list_scores, shared.list_ids, k, 0};
  __syncthreads();
  for (int64_t first = 0; first < n_items; first += kThreads) {
    const int64_t i = first + threadIdx.x;
    const auto id = static_cast<int32_t>(i);
    bool valid = i < n_items;
    float score = 0.0f;
    if (valid) {
      score = score_of(i);
      valid = list.accepts(score, id) && !is_excluded(exclude, exclude_row, i);
    }
    block_top_k_insert<kThreads>(list, valid, score, id, shared.pending_scores, shared.pending_ids,
                                 &shared.pending_count);
  }
  for (int32_t place = threadIdx.x; place < k; place += kThreads) {
    const bool filled = place < list.size;
    top_items[place] = filled ? shared.list_ids[place] : -1;
    top_scores[place] = filled ? shared.list_scores[place] : -INFINITY;
  }
}

}  // namespace sheaf::dense::cuda
