#pragma once
/// How a warpgroup's tiles of keys and values come into shared memory: by boxes of TMA, or where rows are not aligned for it by cp.async of
/// all threads. Either leaves the same bytes where they are read: columns beyond dim are zeros, and so are rows of values that are hidden
/// or beyond the sequence's end. (Such rows of keys differ: their scores are overwritten.)

#include "kernels/attention/forward.cuh"
#include "kernels/core/cuda/tensor_copy.cuh"
#include "kernels/core/cuda/wgmma.cuh"

namespace sheaf::attention::cuda {

constexpr int kTileKeys = 64;
constexpr int kTileBlockBytes = kTileKeys * kSwizzledRowBytes;  // of 64 columns

/// A tile of keys or values: columns of 64 elements, each swizzled.
template <int kDim>
constexpr int kKeyTileBytes = kDim / 64 * kTileBlockBytes;

struct SwizzledBlocks {
  __device__ int operator()(int row, int byte) const {
    return byte / kSwizzledRowBytes * kTileBlockBytes + swizzled(row, byte % kSwizzledRowBytes);
  }
};

template <int kDim>
class CopiedTiles {
 public:
  struct Maps {};
  static Maps maps(const AttentionArgs&) { return {}; }

  __device__ explicit CopiedTiles(const Maps&) {}
  __device__ void load(const Forward& call, unsigned char* keys, unsigned char* values, const Unit& unit, int tile,
                       int) const {
    load_keys<kDim * 2, 2>(keys, values, SwizzledBlocks{}, kTileKeys, call.args.k, call.args.v, call.args.shape, unit,
                           unit.head / call.group, tile * kTileKeys, call.rows);
  }
  __device__ void arrived(const Shape&, unsigned char*, const Unit&, int, int) const { fence_for_products(); }
};

/// Whether keys and values are aligned for boxes, and the strides such as the manual computes them.
inline bool takes_boxes(const AttentionArgs& args) {
  const Shape& shape = args.shape;
  RowAlignment alignment(shape);
  alignment << args.k << args.v;
  const auto fits = [&](const Heads<const void>& heads) {
    return heads.stride % shape.dim == 0 && heads.stride < int64_t{1} << 39;
  };
  return alignment.shape().copy_bytes == 16 && fits(args.k) && fits(args.v) && shape.n_tokens < int64_t{1} << 31;
}

/// Boxes of one head's 64 tokens by 64 columns, begun by the first thread. They run on into the next sequence and over hidden keys.
template <int kDim>
class BoxedTiles {
 public:
  struct Maps {
    TensorMap k, v;
  };
  static Maps maps(const AttentionArgs& args) {
    const auto map_of = [&](const Heads<const void>& heads) {
      const auto dim = static_cast<uint64_t>(args.shape.dim);
      const TensorShape shape{{dim, static_cast<uint64_t>(heads.n_heads), static_cast<uint64_t>(args.shape.n_tokens)},
                              {2 * dim, 2 * static_cast<uint64_t>(heads.stride)}};
      return swizzled_map(heads.data, shape, 1, kTileKeys);
    };
    return {map_of(args.k), map_of(args.v)};
  }

  /// The block's threads come to a barrier before load().
  __device__ explicit BoxedTiles(const Maps& maps) : maps_(maps) {
    __shared__ uint64_t barriers[kStages];
    barriers_ = barriers;
    if (threadIdx.x == 0) {
      prefetch_map(maps.k);
      prefetch_map(maps.v);
      for (int s = 0; s < kStages; ++s) barrier_init(&barriers[s]);
    }
  }

  __device__ void load(const Forward& call, unsigned char* keys, unsigned char* values, const Unit& unit, int tile,
                       int stage) const {
    if (threadIdx.x == 0) {
      barrier_expect(&barriers_[stage], 2 * kKeyTileBytes<kDim>);
      const int32_t head = unit.head / call.group;
      const auto token = static_cast<int32_t>(unit.first + tile * kTileKeys);
#pragma unroll
      for (int block = 0; block < kDim / 64; ++block) {
        tensor_copy(keys + block * kTileBlockBytes, maps_.k, block * 64, head, token, &barriers_[stage]);
        tensor_copy(values + block * kTileBlockBytes, maps_.v, block * 64, head, token, &barriers_[stage]);
      }
    }
    __syncwarp();
  }

  __device__ void arrived(const Shape& shape, unsigned char* values, const Unit& unit, int tile, int stage) {
    if (unit.length == 0) return;
    barrier_wait(&barriers_[stage], phases_ >> stage & 1u);
    phases_ ^= 1u << stage;
    const int32_t first = tile * kTileKeys, n_rows = unit.length - first;
    const uint8_t* keep = shape.key_keep.empty() ? nullptr : shape.key_keep.data + unit.first + first;
    if (n_rows >= kTileKeys && keep == nullptr) return;
    for (int i = static_cast<int>(threadIdx.x); i < kKeyTileBytes<kDim> / 16; i += static_cast<int>(blockDim.x)) {
      const int row = i * 16 / kSwizzledRowBytes % kTileKeys;
      if (row >= n_rows || (keep != nullptr && keep[row] == 0)) reinterpret_cast<uint4*>(values)[i] = uint4{0, 0, 0, 0};
    }
    fence_for_products();
  }

 private:
  const Maps& maps_;
  uint64_t* barriers_;
  uint32_t phases_ = 0;  // parity of each stage's phase
};

}  // namespace sheaf::attention::cuda
