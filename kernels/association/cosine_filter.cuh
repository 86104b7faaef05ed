#pragma once
/// The filter of the device's cosine_topk: tensor cores multiply tiles in 16 bits, and only the products that may reach
/// a row's list leave the registers.

#include <cuda_runtime.h>

#include "kernels/association/cosine_pair.hpp"
#include "kernels/core/cuda/async_copy.cuh"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/mma.cuh"
#include "kernels/core/cuda/warp.cuh"

namespace sheaf::association::cuda {

/// Unit vectors of queries or items.
struct Units {
  const float* floats;     // [n, float_stride], zeros from dim on
  const uint32_t* halves;  // [n, half_stride / 2] pairs of fp16, zeros from dim on
  const float* residuals;  // [n] |v - fp16(v)|, rounded up; negative: the vector has no direction
  int64_t n;
};

struct Filter {
  CosineTopkArgs args;
  Units queries, items;
  int64_t float_stride, half_stride;
  const int* largest_residual;  // of the items, as the bits of a float
  float rounding;               // of a product in fp16 and in float together
  float least;                  // product that any pair must reach
  MatrixView<int32_t> ids;      // [n_splits * n_queries, k] the lists, sorted; id -1: no pair
  MatrixView<float> scores;
  int32_t* pending;  // [blocks, kTileRows, kPending] candidates since a list was last settled
  int64_t n_row_blocks, n_splits;
};

constexpr int kFilterThreads = 256;
constexpr int kTileRows = 256;
constexpr int kTileColumns = 128;
constexpr int kChunk = 32;  // dimensions a stage
constexpr int kStages = 4;
constexpr int kPending = 256;
constexpr int kSettleEarly = 64;  // pending of a row that is settled because another one must be
constexpr int kMaxSorted = 512;   // keys: at most 256 of a list and kPending
constexpr int kWarpsAcross = 2;   // a warp has 64 x 64 of the tile
constexpr int kRowParts = 4;      // of 16 rows
constexpr int kColumnParts = 8;   // of 8 columns
constexpr int kLanesAHit = 8;     // that compute one product again
constexpr size_t kRowChunkBytes = size_t{kTileRows} * kChunk * 2;
constexpr size_t kColumnChunkBytes = size_t{kTileColumns} * kChunk * 2;
static_assert(kFilterThreads == kTileRows, "a thread begins a row");
static_assert(kStages * kColumnChunkBytes >= kFilterThreads / kWarp * kMaxSorted * sizeof(uint64_t),
              "sorted in the stages");

/// Shared memory. The rows stay in it while columns stream past, or both stream.
inline size_t filter_shared_bytes(int64_t half_stride, bool rows_stay) {
  const size_t rows = rows_stay ? static_cast<size_t>(half_stride / kChunk) : kStages;
  return rows * kRowChunkBytes + kStages * kColumnChunkBytes;
}

/// Descending, by one warp; size is a power of two.
__device__ inline void sort_keys(uint64_t* keys, int size) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int run = 2; run <= size; run *= 2) {
    for (int distance = run / 2; distance > 0; distance /= 2) {
      for (int pair = lane; pair < size / 2; pair += kWarp) {
        const int low = pair / distance * 2 * distance + pair % distance;
        const uint64_t a = keys[low], b = keys[low + distance];
        if ((a < b) == ((low & run) == 0)) {
          keys[low] = b;
          keys[low + distance] = a;
        }
      }
      __syncwarp();
    }
  }
}

/// One warp puts the k best of `n_keys` keys in a list. Returns the worst of a full list, else 0. `keys` has room for
/// the next power of two above n_keys.
__device__ inline uint64_t write_best(uint64_t* keys, int n_keys, int k, int32_t* ids, float* scores) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int size = 2;
  while (size < n_keys) size *= 2;
  for (int i = n_keys + lane; i < size; i += kWarp) keys[i] = 0;
  __syncwarp();
  sort_keys(keys, size);
  for (int r = lane; r < k; r += kWarp) {
    const uint64_t key = r < size ? keys[r] : 0;
    ids[r] = key != 0 ? id_of(key) : -1;
    scores[r] = score_of(key);
  }
  return k <= size ? keys[k - 1] : 0;
}

__device__ inline void read_list(const int32_t* ids, const float* scores, int k, uint64_t* keys) {
  for (int r = static_cast<int>(threadIdx.x) % kWarp; r < k; r += kWarp) {
    keys[r] = ids[r] >= 0 ? to_key(scores[r], ids[r]) : 0;
  }
}

/// Rows of kChunk fp16 side by side; units of 16 bytes change places so that eight rows' units lie in different banks.
__device__ inline unsigned char* tile_unit(unsigned char* tile, int row, int unit) {
  return tile + (row * (kChunk / 8) + (unit ^ (row / 2 % 4))) * 16;
}

/// Begins the copy of kRows rows of one chunk, zeros after the last vector.
template <int kRows>
__device__ inline void copy_chunk(unsigned char* tile, const Units& units, int64_t half_stride, int64_t first,
                                  int64_t chunk) {
  constexpr int kUnits = kChunk / 8;
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kUnits; i += kFilterThreads) {
    const int row = i / kUnits, unit = i % kUnits;
    const bool valid = first + row < units.n;
    const int64_t from = valid ? ((first + row) * half_stride + chunk * kChunk) / 2 + unit * 4 : 0;
    async_copy<16>(tile_unit(tile, row, unit), units.halves + from, valid);
  }
}

/// A block's part of the filter: kTileRows queries against a range of the items.
template <bool kRowsStay>
class FilterBlock {
 public:
  struct Shared {
    float limits[kTileRows];  // product in fp16 that a pair of the row must reach
    float slacks[kTileRows];  // that it may be off
    int counts[kTileRows];    // pending
    int full[2];              // a row may have no room for another tile; by parity of the tile
  };

  __device__ FilterBlock(const Filter& filter, Shared& shared, unsigned char* tiles)
      : filter_(filter),
        shared_(shared),
        row_tiles_(tiles),
        column_tiles_(tiles + (kRowsStay ? filter.half_stride / kChunk : kStages) * kRowChunkBytes),
        pending_(filter.pending + static_cast<int64_t>(blockIdx.x) * kTileRows * kPending),
        n_chunks_(static_cast<int>(filter.half_stride / kChunk)) {}

  __device__ void run(int64_t row_block, int64_t split) {
    const int64_t n_tiles = (filter_.items.n + kTileColumns - 1) / kTileColumns;
    first_row_ = row_block * kTileRows;
    first_list_ = split * filter_.queries.n + first_row_;
    tile_ = static_cast<int>(n_tiles * split / filter_.n_splits);
    end_tile_ = static_cast<int>(n_tiles * (split + 1) / filter_.n_splits);
    start_rows();
    if (kRowsStay) {
      for (int chunk = 0; chunk < n_chunks_; ++chunk) copy_rows(chunk, chunk);
      async_commit();
    }
    stage_ = 0;
    fill_stages(0);
    float sums[kRowParts][kColumnParts][4];
    for (; tile_ < end_tile_; ++tile_) {
      clear(sums);
      for (int chunk = 0; chunk < n_chunks_; ++chunk) {
        async_wait<kStages - 2>();
        __syncthreads();
        if (chunk == 0 && take_full()) {
          settle(kSettleEarly);
          fill_stages(0);
          async_wait<kStages - 2>();
          __syncthreads();
        }
        issue(chunk + kStages - 1, (stage_ + kStages - 1) % kStages);
        multiply(chunk, sums);
        stage_ = (stage_ + 1) % kStages;
      }
      keep(sums);
    }
    settle(1);
    __syncthreads();  // before the next rows begin
  }

 private:
  static __device__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
  static __device__ int warp() { return static_cast<int>(threadIdx.x) / kWarp; }
  static __device__ int warp_row() { return warp() / kWarpsAcross * kRowParts * 16; }
  static __device__ int warp_column() { return warp() % kWarpsAcross * kColumnParts * 8; }

  // |a b - a' b'| <= |a - a'| |b| + |a'| |b - b'|, lengths at most 1 + their residual.
  __device__ void start_rows() {
    const int row = static_cast<int>(threadIdx.x);
    const int64_t query = first_row_ + row;
    const float residual = query < filter_.queries.n ? filter_.queries.residuals[query] : -1.0f;
    const float other = __int_as_float(*filter_.largest_residual);
    shared_.slacks[row] = (residual + other + residual * other) * 1.001f + filter_.rounding;
    shared_.counts[row] = 0;
    if (residual < 0.0f) {
      shared_.limits[row] = INFINITY;
    } else {
      const int64_t last = filter_.ids.cols - 1;
      const bool is_full = filter_.ids(first_list_ + row, last) >= 0;
      set_limit(row, is_full ? filter_.scores(first_list_ + row, last) : 0.0f);
    }
    if (row < 2) shared_.full[row] = 0;
  }

  __device__ void set_limit(int row, float worst_score) {
    const float bound = fmaxf(filter_.least, product_bound(worst_score, filter_.args.scale));
    shared_.limits[row] = bound - shared_.slacks[row];
  }

  __device__ void copy_rows(int chunk, int place) {
    copy_chunk<kTileRows>(row_tiles_ + place * kRowChunkBytes, filter_.queries, filter_.half_stride, first_row_, chunk);
  }

  // The chunk `ahead` of the current tile's first one; always a group, so that waits count the same.
  __device__ void issue(int ahead, int stage) {
    const int tile = tile_ + ahead / n_chunks_;
    const int chunk = ahead % n_chunks_;
    if (tile < end_tile_) {
      copy_chunk<kTileColumns>(column_tiles_ + stage * kColumnChunkBytes, filter_.items, filter_.half_stride,
                               int64_t{tile} * kTileColumns, chunk);
      if constexpr (!kRowsStay) copy_rows(chunk, stage);
    }
    async_commit();
  }

  __device__ void fill_stages(int chunk) {
    for (int s = 0; s + 1 < kStages; ++s) issue(chunk + s, (stage_ + s) % kStages);
  }

  static __device__ void clear(float (&sums)[kRowParts][kColumnParts][4]) {
#pragma unroll
    for (int r = 0; r < kRowParts; ++r) {
#pragma unroll
      for (int c = 0; c < kColumnParts; ++c) {
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[r][c][i] = 0.0f;
      }
    }
  }

  __device__ void multiply(int chunk, float (&sums)[kRowParts][kColumnParts][4]) {
    unsigned char* rows = row_tiles_ + (kRowsStay ? chunk : stage_) * kRowChunkBytes;
    unsigned char* columns = column_tiles_ + stage_ * kColumnChunkBytes;
#pragma unroll
    for (int step = 0; step < kChunk / 16; ++step) {
      uint32_t a[kRowParts][4];
#pragma unroll
      for (int r = 0; r < kRowParts; ++r) {
        load_matrices<false>(a[r], tile_unit(rows, warp_row() + r * 16 + lane() % 16, step * 2 + lane() / 16));
      }
#pragma unroll
      for (int c = 0; c < kColumnParts; c += 2) {
        const int column = warp_column() + c * 8 + lane() / 16 * 8 + lane() % 8;
        uint32_t pair[4];
        load_matrices<false>(pair, tile_unit(columns, column, step * 2 + lane() / 8 % 2));
        const uint32_t left[2] = {pair[0], pair[1]}, right[2] = {pair[2], pair[3]};
#pragma unroll
        for (int r = 0; r < kRowParts; ++r) {
          mma_m16n8k16<MmaType::f16>(sums[r][c], a[r], left, sums[r][c]);
          mma_m16n8k16<MmaType::f16>(sums[r][c + 1], a[r], right, sums[r][c + 1]);
        }
      }
    }
  }

  // Most rows have nothing to keep: one comparison tells.
  __device__ void keep(const float (&sums)[kRowParts][kColumnParts][4]) {
#pragma unroll
    for (int r = 0; r < kRowParts; ++r) {
      const int row = warp_row() + r * 16 + lane() / 4;
      const float limits[2] = {shared_.limits[row], shared_.limits[row + 8]};
      float largest[2] = {sums[r][0][0], sums[r][0][2]};
#pragma unroll
      for (int c = 0; c < kColumnParts; ++c) {
        largest[0] = fmaxf(largest[0], fmaxf(sums[r][c][0], sums[r][c][1]));
        largest[1] = fmaxf(largest[1], fmaxf(sums[r][c][2], sums[r][c][3]));
      }
      if (largest[0] < limits[0] && largest[1] < limits[1]) continue;
      unsigned hits = 0;  // bit 4 c + i
#pragma unroll
      for (int c = 0; c < kColumnParts; ++c) {
#pragma unroll
        for (int i = 0; i < 4; ++i) hits |= unsigned{sums[r][c][i] >= limits[i / 2]} << (4 * c + i);
      }
      for (; hits != 0; hits &= hits - 1) {
        const int bit = __ffs(static_cast<int>(hits)) - 1;
        append(row + bit % 4 / 2 * 8, warp_column() + bit / 4 * 8 + lane() % 4 * 2 + bit % 2);
      }
    }
  }

  // A tile brings a row kTileColumns at most, and a row with less room than that is settled before the next one.
  __device__ void append(int row, int column) {
    const int64_t item = int64_t{tile_} * kTileColumns + column;
    if (item >= filter_.items.n || filter_.items.residuals[item] < 0.0f) return;
    if (!pair_allowed(filter_.args, first_row_ + row, item)) return;
    const int place = atomicAdd(&shared_.counts[row], 1);
    pending_[row * kPending + place] = static_cast<int32_t>(item);
    if (place + 1 > kPending - kTileColumns) atomicOr(&shared_.full[tile_ % 2], 1);
  }

  // Of the tile before, which all threads have left; the present one writes to the other flag.
  __device__ bool take_full() const { return shared_.full[(tile_ + 1) % 2] != 0; }

  /// Rows with at least `least` candidates; the stages' memory is used and must be filled again.
  __device__ void settle(int least) {
    async_wait<0>();
    __syncthreads();
    if (threadIdx.x < 2) shared_.full[threadIdx.x] = 0;
    auto* keys = reinterpret_cast<uint64_t*>(column_tiles_) + warp() * kMaxSorted;
    for (int row = warp(); row < kTileRows; row += kFilterThreads / kWarp) {
      const int n = shared_.counts[row];
      if (n >= least) settle_row(row, n, keys);
    }
    __syncthreads();
  }

  __device__ void settle_row(int row, int n, uint64_t* keys) {
    const auto k = static_cast<int>(filter_.ids.cols);
    int32_t* ids = filter_.ids.row(first_list_ + row);
    float* scores = filter_.scores.row(first_list_ + row);
    read_list(ids, scores, k, keys);
    rescore(row, n, keys + k);
    const uint64_t worst = write_best(keys, k + n, k, ids, scores);
    __syncwarp();
    if (lane() == 0) {
      shared_.counts[row] = 0;
      if (worst != 0) set_limit(row, score_of(worst));
      if (!filter_.args.n_rescored.empty()) {
        atomicAdd(reinterpret_cast<unsigned long long*>(filter_.args.n_rescored.data),
                  static_cast<unsigned long long>(n));
      }
    }
    __syncwarp();
  }

  /// The candidates' keys by products in float, 0 for those that reach no list.
  __device__ void rescore(int row, int n, uint64_t* keys) const {
    const int32_t* items = pending_ + row * kPending;
    const float* query = filter_.queries.floats + (first_row_ + row) * filter_.float_stride;
    for (int first = 0; first < n; first += kWarp / kLanesAHit) {
      const int place = first + lane() / kLanesAHit;
      const int32_t item = items[place < n ? place : n - 1];
      const float* vector = filter_.items.floats + item * filter_.float_stride;
      float sum = 0.0f;
      for (int64_t d = lane() % kLanesAHit * 4; d < filter_.float_stride; d += kLanesAHit * 4) {
        const float4 a = *reinterpret_cast<const float4*>(query + d);
        const float4 b = *reinterpret_cast<const float4*>(vector + d);
        sum = fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, fmaf(a.w, b.w, sum))));
      }
#pragma unroll
      for (int offset = kLanesAHit / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(kFullMask, sum, offset);
      if (place < n && lane() % kLanesAHit == 0) {
        const float score = cosine_score(sum, filter_.args.scale);
        const bool wanted = score > 0.0f && score >= filter_.args.min_score;
        keys[place] = wanted ? to_key(score, static_cast<int32_t>(filter_.args.first_item + item)) : 0;
      }
    }
  }

  const Filter& filter_;
  Shared& shared_;
  unsigned char* row_tiles_;
  unsigned char* column_tiles_;
  int32_t* pending_;
  int n_chunks_;
  int stage_ = 0, tile_ = 0, end_tile_ = 0;
  int64_t first_row_ = 0, first_list_ = 0;
};

/// Blocks that take one part after the other; those that run at a time share the same items.
template <bool kRowsStay>
__global__ void __launch_bounds__(kFilterThreads, 1) cosine_filter_kernel(Filter filter) {
  SHEAF_DYNAMIC_SHARED(tiles);
  __shared__ typename FilterBlock<kRowsStay>::Shared shared;
  FilterBlock<kRowsStay> block(filter, shared, tiles);
  for (int64_t part = blockIdx.x; part < filter.n_row_blocks * filter.n_splits; part += gridDim.x) {
    block.run(part % filter.n_row_blocks, part / filter.n_row_blocks);
  }
}

}  // namespace sheaf::association::cuda
