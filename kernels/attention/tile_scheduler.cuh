#pragma once
/// Which block works on what. A work tile is a sequence, a head and a block of its rows. Persistent blocks take the
/// work tiles in turn, the longest first. Also: how rows come into shared memory and leave it.

#include <cuda_runtime.h>

#include "kernels/attention/attention.hpp"
#include "kernels/attention/pair.hpp"
#include "kernels/core/cuda/async_copy.cuh"
#include "kernels/core/cuda/warp.cuh"

namespace sheaf::attention::cuda {

constexpr int kStages = 2;
constexpr int kMaxThreads = 256;

/// Sequences in descending length, and of every row block the number of sequences that reach it: the first ones.
struct Schedule {
  const int32_t* order;   // [n_sequences]
  const int32_t* counts;  // of row block b at b * count_step
  int32_t count_step;
  int32_t n_blocks;  // of block_rows rows, of the longest sequence
  int32_t block_rows;
  int32_t n_heads;  // each makes work tiles of its own
  bool last_first;  // row blocks in descending order: causal queries at the end see the most
};

struct WorkTile {
  int64_t first;  // token of the sequence
  int32_t length;
  int32_t sequence, head;
  int32_t row;  // first of the block, counted in the sequence
};

/// Where a block is in its work tiles.
struct TileIterator {
  int32_t at;  // among the work tiles of row block `block`
  int32_t block;

  __device__ void start(const Schedule& schedule) {
    at = static_cast<int32_t>(blockIdx.x);
    block = schedule.last_first ? schedule.n_blocks - 1 : 0;
  }
  /// The next work tile; length 0: there is none.
  __device__ WorkTile next(const Schedule& schedule, const Shape& shape) {
    while (block >= 0 && block < schedule.n_blocks) {
      const int32_t n = schedule.counts[block * schedule.count_step] * schedule.n_heads;
      if (at < n) {
        const int32_t sequence = schedule.order[at / schedule.n_heads];
        const Span span = span_of(shape, sequence);
        const WorkTile work_tile{span.first, static_cast<int32_t>(span.length), sequence, at % schedule.n_heads,
                                 block * schedule.block_rows};
        at += static_cast<int32_t>(gridDim.x);
        return work_tile;
      }
      at -= n;
      block += schedule.last_first ? -1 : 1;
    }
    return {};
  }
};

/// Processes all work tiles of a block. The columns of a work tile arrive in smaller tiles; while one is computed, the
/// next is loaded, also across the border of two work tiles. A Task has:
/// - n_tiles(work_tile);
/// - load_work_tile(ordinal, work_tile) and load_tile(stage, work_tile, tile), which begin copies. What load_work_tile
///   fills is read until finish, in kStages places by turns;
/// - arrived(), which each thread calls when its own copies have arrived;
/// - then begin(), work(work_tile, ordinal, tile, stage) and finish(work_tile, ordinal).
template <class Task>
__device__ void run_work_tiles(Task& task, const Schedule& schedule, const Shape& shape) {
  constexpr int kPlaces = kStages + 1;
  __shared__ TileIterator iterator;
  __shared__ WorkTile work_tiles[kPlaces];  // of the ordinal at hand and of kStages more; length 0: no more
  if (threadIdx.x == 0) {
    iterator.start(schedule);
    for (int u = 0; u < kStages; ++u) work_tiles[u] = iterator.next(schedule, shape);
  }
  __syncthreads();
  int ahead = 0, ahead_tile = 0;
  // Always commits a group, so that waits count the same.
  const auto issue = [&](int stage) {
    const WorkTile& work_tile = work_tiles[ahead % kPlaces];
    if (work_tile.length > 0) {
      if (ahead_tile == 0) task.load_work_tile(ahead, work_tile);
      task.load_tile(stage, work_tile, ahead_tile);
      if (++ahead_tile == task.n_tiles(work_tile)) {
        ++ahead;
        ahead_tile = 0;
      }
    }
    async_commit();
  };
  for (int s = 0; s + 1 < kStages; ++s) issue(s);
  int stage = 0;
  for (int ordinal = 0, tile = 0;;) {
    async_wait<kStages - 2>();
    task.arrived();
    __syncthreads();
    const WorkTile& work_tile = work_tiles[ordinal % kPlaces];
    if (tile == 0) {
      if (work_tile.length == 0) return;
      task.begin();
      if (threadIdx.x == 0) work_tiles[(ordinal + kStages) % kPlaces] = iterator.next(schedule, shape);
    }
    issue((stage + kStages - 1) % kStages);
    task.work(work_tile, ordinal, tile, stage);
    stage = (stage + 1) % kStages;
    if (++tile == task.n_tiles(work_tile)) {
      task.finish(work_tile, ordinal);
      tile = 0;
      ++ordinal;
    }
  }
}

/// Rows of one head in memory.
struct RowSource {
  const unsigned char* rows;
  int64_t stride;       // bytes
  int32_t n_valid;      // rows; zeros are read behind them
  const uint8_t* keep;  // [n_valid], or null: rows with 0 are read as zeros
};

/// Bytes of a head's row, and of the copies that its alignment allows: 16, 4, or 2 (no asynchronous one).
struct RowShape {
  int row_bytes;
  int copy_bytes;
};

template <class Data>
__device__ RowSource row_source(const Heads<Data>& heads, const Shape& shape, const WorkTile& work_tile, int32_t head,
                                int32_t row, int element_bytes) {
  const int64_t token = work_tile.first + row;
  return {static_cast<const unsigned char*>(heads.data) + (token * heads.stride + head * shape.dim) * element_bytes,
          heads.stride * element_bytes, work_tile.length - row, nullptr};
}

template <int kCopy>
__device__ void copy_chunk(unsigned char* to, const unsigned char* from, const unsigned char* safe, int n_bytes) {
#pragma unroll
  for (int b = 0; b < 16; b += kCopy) {
    if constexpr (kCopy == 2) {
      *reinterpret_cast<uint16_t*>(to + b) = b < n_bytes ? *reinterpret_cast<const uint16_t*>(from + b) : uint16_t{0};
    } else {
      async_copy<kCopy>(to + b, b < n_bytes ? from + b : safe, b < n_bytes);
    }
  }
}

/// Where byte `byte` of row `row` of a tile stands: rows one after the other.
struct PitchedRows {
  int pitch;
  __device__ int operator()(int row, int byte) const { return row * pitch + byte; }
};

/// Begins to copy n_rows rows of kRowBytes, by the whole block; `place` is like PitchedRows.
template <int kRowBytes, class Place>
__device__ void load_rows(unsigned char* tile, const Place& place, int n_rows, const RowSource& source,
                          const RowShape& shape) {
  constexpr int kChunks = kRowBytes / 16;
  for (int i = static_cast<int>(threadIdx.x); i < n_rows * kChunks; i += static_cast<int>(blockDim.x)) {
    const int row = i / kChunks, byte = i % kChunks * 16;
    const bool valid = row < source.n_valid && (source.keep == nullptr || source.keep[row] != 0);
    const int n_bytes = valid ? shape.row_bytes - byte : 0;
    const unsigned char* from = source.rows + (valid ? row * source.stride + byte : 0);
    unsigned char* to = tile + place(row, byte);
    switch (shape.copy_bytes) {
      case 16: copy_chunk<16>(to, from, source.rows, n_bytes); break;
      case 4: copy_chunk<4>(to, from, source.rows, n_bytes); break;
      default: copy_chunk<2>(to, from, source.rows, n_bytes);
    }
  }
}

template <class Word>
__device__ void store_words(unsigned char* to, int64_t stride, const unsigned char* tile, int pitch, int n_rows,
                            int row_bytes) {
  const int n_words = row_bytes / static_cast<int>(sizeof(Word));
  for (int i = static_cast<int>(threadIdx.x) % kWarp; i < n_rows * n_words; i += kWarp) {
    const int row = i / n_words, byte = i % n_words * static_cast<int>(sizeof(Word));
    *reinterpret_cast<Word*>(to + row * stride + byte) = *reinterpret_cast<const Word*>(tile + row * pitch + byte);
  }
}

/// n_rows rows of a tile to memory, by one warp.
__device__ inline void store_rows(unsigned char* to, int64_t stride, const unsigned char* tile, int pitch, int n_rows,
                                  const RowShape& shape) {
  switch (shape.copy_bytes) {
    case 16: return store_words<uint4>(to, stride, tile, pitch, n_rows, shape.row_bytes);
    case 4: return store_words<uint32_t>(to, stride, tile, pitch, n_rows, shape.row_bytes);
    default: return store_words<uint16_t>(to, stride, tile, pitch, n_rows, shape.row_bytes);
  }
}

/// Begins to copy n_rows keys from `first` on into key_tile, and as many values into value_tile. Hidden keys are copied
/// as zeros.
template <int kRowBytes, int kElementBytes, class Place>
__device__ void load_keys(unsigned char* key_tile, unsigned char* value_tile, const Place& place, int n_rows,
                          const Heads<const void>& k, const Heads<const void>& v, const Shape& shape,
                          const WorkTile& work_tile, int32_t kv_head, int32_t first, const RowShape& rows) {
  RowSource keys = row_source(k, shape, work_tile, kv_head, first, kElementBytes);
  RowSource values = row_source(v, shape, work_tile, kv_head, first, kElementBytes);
  if (!shape.key_keep.empty()) keys.keep = values.keep = shape.key_keep.data + work_tile.first + first;
  load_rows<kRowBytes>(key_tile, place, n_rows, keys, rows);
  load_rows<kRowBytes>(value_tile, place, n_rows, values, rows);
}
/// The same, with the values behind the keys.
template <int kRowBytes, int kElementBytes>
__device__ void load_keys(unsigned char* tile, int pitch, int n_rows, const Heads<const void>& k,
                          const Heads<const void>& v, const Shape& shape, const WorkTile& work_tile, int32_t kv_head,
                          int32_t first, const RowShape& rows) {
  load_keys<kRowBytes, kElementBytes>(tile, tile + n_rows * pitch, PitchedRows{pitch}, n_rows, k, v, shape, work_tile,
                                      kv_head, first, rows);
}

/// Memory of a tile's row: an odd multiple of 16 bytes.
constexpr int pitch_of(int row_bytes) { return row_bytes + 16; }

}  // namespace sheaf::attention::cuda
