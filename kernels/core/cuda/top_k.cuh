#pragma once
/// Block-wide selection: a threshold filters each tile's scores, and the few that beat the k-th best are inserted in
/// item order.

#include <cuda_runtime.h>

#include "kernels/core/cuda/warp.cuh"
#include "kernels/core/top_k.hpp"

namespace sheaf {

/// Called by all kThreads threads of a block with one candidate each (valid or not). `list` lives in shared memory,
/// `pending` is shared memory for kThreads candidates. After the call the list is up to date for every thread.
template <int kThreads>
__device__ inline void block_top_k_insert(TopKList& list, bool valid, float score, int32_t id, float* pending_scores,
                                          int32_t* pending_ids, int* pending_count) {
  const bool wanted = valid && list.accepts(score, id);
  if (threadIdx.x == 0) *pending_count = 0;
  __syncthreads();
  // Any order works: the list ends the same for every order of insertion.
  if (wanted) {
    const int place = atomicAdd(pending_count, 1);
    pending_scores[place] = score;
    pending_ids[place] = id;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 0; i < *pending_count; ++i) {
      if (list.accepts(pending_scores[i], pending_ids[i])) list.insert(pending_scores[i], pending_ids[i]);
    }
  }
  __syncthreads();
}

}  // namespace sheaf
