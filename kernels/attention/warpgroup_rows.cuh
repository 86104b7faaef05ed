#pragma once
/// A warpgroup's work in the forward pass: 64 query rows in registers against tiles of 64 keys and values in shared
/// memory.

#include "kernels/attention/forward.cuh"
#include "kernels/core/cuda/wgmma.cuh"

namespace sheaf::attention::cuda {

constexpr int kTileKeys = 64;
constexpr int kTileBlockBytes = kTileKeys * kSwizzledRowBytes;  // of 64 columns

/// A tile of keys or values: columns of 64 elements, each swizzled.
template <int kDim>
constexpr int kKeyTileBytes = kDim / 64 * kTileBlockBytes;

/// Tiles of keys that the query rows from `row` on see.
__device__ inline int tiles_seen(const Shape& shape, const WorkTile& work_tile, int32_t n_rows) {
  const int32_t end = work_tile.row + n_rows;
  const int32_t n_keys = shape.causal && end < work_tile.length ? end : work_tile.length;
  return (n_keys + kTileKeys - 1) / kTileKeys;
}

template <MmaType kType, int kDim>
struct WarpgroupRows {
  using Math = HalfMath<kType>;
  using Scores = float[kTileKeys / 8][4];

  typename Math::A queries[kDim / 16];  // of the warp
  ForwardRows<kDim> result;

  /// Begins x = queries by keys: the caller commits nothing, and waits before it reads x.
  __device__ void begin_scores(Scores& x, const unsigned char* keys) const {
    warpgroup_fence();
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      const unsigned char* terms = keys + k / 4 * kTileBlockBytes + k % 4 * 32;
      warpgroup_multiply<kType, false>(x, queries[k].r, swizzled_operand(terms), k > 0);
    }
    warpgroup_commit();
  }

  /// Scores into weights, under online softmax and dropout.
  __device__ void weigh(const Forward& call, const TilePlace& place, Scores& x) {
    finish_scores<false>(call.args.shape, place, x);
    result.take(x);
    if (call.mask.active()) drop(call.mask, place, x);
  }

  /// Begins to add weights by values to the sums.
  __device__ void begin_sums(const Scores& x, const unsigned char* values) {
    typename Math::A weights[kTileKeys / 16];
#pragma unroll
    for (int k = 0; k < kTileKeys / 16; ++k) weights[k] = Math::from_result(&x[2 * k]);
    warpgroup_fence();
#pragma unroll
    for (int k = 0; k < kTileKeys / 16; ++k) {
#pragma unroll
      for (int block = 0; block < kDim / 64; ++block) {
        const unsigned char* rows = values + (block * kTileKeys + k * 16) * kSwizzledRowBytes;
        auto& sums = *reinterpret_cast<float(*)[8][4]>(&result.sums[8 * block]);
        warpgroup_multiply<kType, true>(sums, weights[k].r, swizzled_operand(rows), true);
      }
    }
    warpgroup_commit();
  }
};

/// The forward pass with keys, values and queries by TMA. False if rows are not aligned for it.
template <MmaType kType>
bool attention_by_wgmma_tma(Context& context, const AttentionArgs& args);

}  // namespace sheaf::attention::cuda
