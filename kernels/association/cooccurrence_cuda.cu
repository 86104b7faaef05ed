#include <algorithm>

#include "kernels/association/cooccurrence.hpp"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"

namespace sheaf::association::cuda {
namespace {

constexpr int kCooccurrenceBlock = 256;
constexpr int64_t kMaxBlocks = 512;                    // persistent; each owns a row of counters
constexpr int64_t kCounterBytes = int64_t{256} << 20;  // at most this much for all of them

int64_t persistent_blocks(int64_t n_items) {
  return std::clamp<int64_t>(kCounterBytes / (n_items * static_cast<int64_t>(sizeof(int32_t))), 1,
                             std::min(kMaxBlocks, n_items));
}

// All threads add item i's partners to this block's counters, which were set to zero before. Integer atomics: every
// order gives the same result.
__device__ void count_partners(const CooccurrenceArgs& args, int64_t i, int32_t* count) {
  for (int64_t e = args.item_baskets.row_offsets[i]; e < args.item_baskets.row_offsets[i + 1]; ++e) {
    const int32_t basket = args.item_baskets.columns[e];
    const int64_t end = args.baskets.row_offsets[basket + 1];
    for (int64_t m = args.baskets.row_offsets[basket] + threadIdx.x; m < end; m += kCooccurrenceBlock) {
      const int32_t j = args.baskets.columns[m];
      if (j != i) atomicAdd(&count[j], 1);
    }
  }
  __syncthreads();
}

__global__ void clear_counters_kernel(VectorView<int32_t> counters) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kCooccurrenceBlock;
  for (int64_t c = static_cast<int64_t>(blockIdx.x) * kCooccurrenceBlock + threadIdx.x; c < counters.size; c += stride)
    counters[c] = 0;
}

__global__ void row_sizes_kernel(CooccurrenceArgs args, int32_t* counters, VectorView<int64_t> row_sizes) {
  __shared__ int warp_sums[kCooccurrenceBlock / kWarp];
  int32_t* count = counters + static_cast<int64_t>(blockIdx.x) * row_sizes.size;
  for (int64_t i = blockIdx.x; i < row_sizes.size; i += gridDim.x) {
    count_partners(args, i, count);
    int n_kept = 0;
    for (int64_t j = threadIdx.x; j < row_sizes.size; j += kCooccurrenceBlock) {
      if (count[j] >= args.min_count) ++n_kept;
      count[j] = 0;
    }
    // The barriers in here also part the clearing of the counters from the next item's additions.
    const int total = block_sum<kCooccurrenceBlock>(n_kept, warp_sums);
    if (threadIdx.x == 0) row_sizes[i] = total;
  }
}

// Compaction in ascending order: each tile of columns is numbered by ballots, warp after warp.
__global__ void fill_rows_kernel(CooccurrenceArgs args, int32_t* counters, VectorView<const int64_t> row_offsets,
                                 VectorView<int32_t> neighbours, VectorView<int32_t> counts) {
  __shared__ int warp_kept[kCooccurrenceBlock / kWarp];
  const int64_t n_items = row_offsets.size - 1;
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  int32_t* count = counters + static_cast<int64_t>(blockIdx.x) * n_items;
  for (int64_t i = blockIdx.x; i < n_items; i += gridDim.x) {
    count_partners(args, i, count);
    int64_t to = row_offsets[i];
    for (int64_t first = 0; first < n_items; first += kCooccurrenceBlock) {
      const int64_t j = first + threadIdx.x;
      const int32_t c = j < n_items ? count[j] : 0;
      const bool kept = c >= args.min_count;
      const unsigned ballot = __ballot_sync(kFullMask, kept);
      if (lane == 0) warp_kept[warp] = __popc(ballot);
      __syncthreads();
      int before = 0, total = 0;
      for (int w = 0; w < kCooccurrenceBlock / kWarp; ++w) {
        if (w < warp) before += warp_kept[w];
        total += warp_kept[w];
      }
      if (kept) {
        const int64_t place = to + before + __popc(ballot & ((1u << lane) - 1u));
        neighbours[place] = static_cast<int32_t>(j);
        counts[place] = c;
      }
      if (j < n_items) count[j] = 0;
      to += total;
      __syncthreads();
    }
  }
}

int32_t* cleared_counters(Context& context, ScratchScope& scratch, int64_t n_blocks, int64_t n_items) {
  const VectorView<int32_t> counters{scratch.take<int32_t>(n_blocks * n_items), n_blocks * n_items};
  launch(clear_counters_kernel, static_cast<unsigned>(n_blocks), kCooccurrenceBlock, 0, context, counters);
  return counters.data;
}

}  // namespace

void cooccurrence_sizes(Context& context, const CooccurrenceArgs& args, VectorView<int64_t> row_sizes) {
  const int64_t n_blocks = persistent_blocks(row_sizes.size);
  ScratchScope scratch(context);
  int32_t* counters = cleared_counters(context, scratch, n_blocks, row_sizes.size);
  launch(row_sizes_kernel, static_cast<unsigned>(n_blocks), kCooccurrenceBlock, 0, context, args, counters, row_sizes);
}

void cooccurrence(Context& context, const CooccurrenceArgs& args, VectorView<const int64_t> row_offsets,
                  VectorView<int32_t> neighbours, VectorView<int32_t> counts) {
  const int64_t n_items = row_offsets.size - 1;
  const int64_t n_blocks = persistent_blocks(n_items);
  ScratchScope scratch(context);
  int32_t* counters = cleared_counters(context, scratch, n_blocks, n_items);
  launch(fill_rows_kernel, static_cast<unsigned>(n_blocks), kCooccurrenceBlock, 0, context, args, counters, row_offsets,
         neighbours, counts);
}

}  // namespace sheaf::association::cuda
