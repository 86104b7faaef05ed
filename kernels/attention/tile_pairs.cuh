#pragma once
/// What is done to the single pairs of a result of 16 x 8 kParts: which are seen, their bias, their dropout. Rows are
/// queries and columns keys, or the other way round (kKeyRows).

#include "kernels/attention/fragments.cuh"
#include "kernels/attention/tile_scheduler.cuh"

namespace sheaf::attention::cuda {

constexpr float kLog2E = 1.44269504f;
constexpr float kLn2 = 0.693147181f;

__device__ inline int warp() { return static_cast<int>(threadIdx.x) / kWarp; }

/// Where a warp's result lies: rows from `row`, columns from `column`, both counted in the sequence. The head is that
/// of the queries.
struct TilePlace {
  int64_t first;  // token of the sequence
  int32_t length;
  int32_t sequence, head;
  int32_t row, column;
};

/// The warp's rows of a work tile.
__device__ inline TilePlace warp_place(const WorkTile& work_tile, int32_t column) {
  return {work_tile.first, work_tile.length, work_tile.sequence, work_tile.head, work_tile.row + 16 * warp(), column};
}

template <int kParts>
__device__ void clear(float (&sums)[kParts][4]) {
#pragma unroll
  for (int n = 0; n < kParts; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) sums[n][e] = 0.0f;
  }
}

/// Writes a warp's 16 rows, those of the place, to memory, times `factor` (rows g) and `factor_below` (rows g + 8).
/// They pass through the warp's own `tile`.
template <class Math, int kDim>
__device__ void write_result(const Heads<void>& heads, const Shape& shape, const TilePlace& place,
                             const float (&sums)[kDim / 8][4], float factor, float factor_below, unsigned char* tile,
                             int pitch, const RowShape& rows) {
  const int32_t n_rows = place.length - place.row;
  __syncwarp();
  unsigned char* to = tile + quad_row() * pitch + 2 * quad_column() * Math::kBytes;
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
    Math::store_pair(to + n * 8 * Math::kBytes, sums[n][0] * factor, sums[n][1] * factor);
    Math::store_pair(to + 8 * pitch + n * 8 * Math::kBytes, sums[n][2] * factor_below, sums[n][3] * factor_below);
  }
  __syncwarp();
  const int64_t at = (place.first + place.row) * heads.stride + place.head * shape.dim;
  store_rows(static_cast<unsigned char*>(heads.data) + at * Math::kBytes, heads.stride * Math::kBytes, tile, pitch,
             n_rows < 16 ? n_rows : 16, rows);
}

template <bool kKeyRows>
struct Pair {
  int32_t i, j;  // query, key
  __device__ Pair(const TilePlace& place, int part, int element) {
    const int32_t r = place.row + quad_row() + element / 2 * 8;
    const int32_t c = place.column + part * 8 + 2 * quad_column() + element % 2;
    i = kKeyRows ? c : r;
    j = kKeyRows ? r : c;
  }
};

/// Whether all pairs are of the sequence and none is of a later key, so that none need be asked.
template <bool kKeyRows, int kColumns>
__device__ bool is_inside(const Shape& shape, const TilePlace& place) {
  const int32_t last_row = place.row + 15, last_column = place.column + kColumns - 1;
  const int32_t last = last_row > last_column ? last_row : last_column;
  const bool before = kKeyRows ? last_row <= place.column : last_column <= place.row;
  return last < place.length && (!shape.causal || before);
}

/// Products into log2(e) (scale * product + bias); -infinity where nothing is seen.
template <bool kKeyRows, int kParts>
__device__ void finish_scores(const Shape& shape, const TilePlace& place, float (&x)[kParts][4]) {
  const float scale = shape.scale * kLog2E;
#pragma unroll
  for (int n = 0; n < kParts; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) x[n][e] *= scale;
  }
  if (!shape.relative_bias.empty()) {
    const auto radius = static_cast<int32_t>(shape.relative_bias.cols / 2);
    const float* bias = shape.relative_bias.row(place.head);
#pragma unroll
    for (int n = 0; n < kParts; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const Pair<kKeyRows> pair(place, n, e);
        x[n][e] += kLog2E * bias[bias_column(pair.i, pair.j, radius)];
      }
    }
  }
  if (!is_inside<kKeyRows, kParts * 8>(shape, place)) {
#pragma unroll
    for (int n = 0; n < kParts; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const Pair<kKeyRows> pair(place, n, e);
        const bool later = shape.causal && pair.j > pair.i;
        if (pair.i >= place.length || pair.j >= place.length || later) x[n][e] = -INFINITY;
      }
    }
  }
  if (!shape.key_keep.empty()) {
    const uint8_t* keep = shape.key_keep.data + place.first;
#pragma unroll
    for (int n = 0; n < kParts; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int32_t j = Pair<kKeyRows>(place, n, e).j;
        if (j < place.length && keep[j] == 0) x[n][e] = -INFINITY;
      }
    }
  }
}

/// The dropout bytes of a result: byte e of bytes[n] decides element e of part n. One draw of 16 keys serves several
/// lanes. Each lane makes some draws, and the lanes exchange them.
template <bool kKeyRows, int kParts>
__device__ void draw_bytes(const DropoutMask& mask, const TilePlace& place, uint32_t (&bytes)[kParts]) {
  const auto shuffled = [](uint32_t word, int source) { return __shfl_sync(kFullMask, word, source); };
#pragma unroll
  for (int n = 0; n < kParts; ++n) bytes[n] = 0;
  if constexpr (kKeyRows) {
    // A draw a query, that is a column, for the warp's 16 keys.
    constexpr int kOwn = kParts * 8 > kWarp ? kParts * 8 / kWarp : 1;
#pragma unroll
    for (int own = 0; own < kOwn; ++own) {
      const Random4 draw = mask.draw(place.sequence, place.head, place.column + own * kWarp + lane(), place.row / 16);
#pragma unroll
      for (int n = own * 4; n < own * 4 + 4 && n < kParts; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int source = n % 4 * 8 + 2 * quad_column() + e;
          uint32_t words[4];
#pragma unroll
          for (int w = 0; w < 4; ++w) words[w] = shuffled(draw.v[w], source);
          const bool high = quad_row() >= 4;
          const int shift = quad_row() % 4 * 8;
          const uint32_t above = (high ? words[1] : words[0]) >> shift & 0xffu;
          const uint32_t below = (high ? words[3] : words[2]) >> shift & 0xffu;
          bytes[n] |= above << (8 * e) | below << (16 + 8 * e);
        }
      }
    }
  } else {
    // Draws of rows g and g + 8 for each 16 columns, made by the four lanes of the rows in turn.
    constexpr int kDraws = kParts;  // 2 rows, kParts / 2 blocks of keys
    constexpr int kOwn = (kDraws + 3) / 4;
#pragma unroll
    for (int own = 0; own < kOwn; ++own) {
      const int mine = own * 4 + quad_column();
      const Random4 draw =
          mask.draw(place.sequence, place.head, place.row + quad_row() + mine % 2 * 8, place.column / 16 + mine / 2);
#pragma unroll
      for (int d = own * 4; d < own * 4 + 4 && d < kDraws; ++d) {
        const int source = lane() - quad_column() + d % 4;
        uint32_t words[4];
#pragma unroll
        for (int w = 0; w < 4; ++w) words[w] = shuffled(draw.v[w], source);
        const bool high = quad_column() >= 2;
        const int shift = quad_column() % 2 * 16;
        const int to = d % 2 * 16;
        bytes[d / 2 * 2] |= ((high ? words[1] : words[0]) >> shift & 0xffffu) << to;
        bytes[d / 2 * 2 + 1] |= ((high ? words[3] : words[2]) >> shift & 0xffffu) << to;
      }
    }
  }
}

/// 0 or 1 / kept.
__device__ inline float keep_factor(const DropoutMask& mask, uint32_t bytes, int element) {
  return (bytes >> (8 * element) & 0xffu) >= mask.threshold ? mask.factor : 0.0f;
}

}  // namespace sheaf::attention::cuda
