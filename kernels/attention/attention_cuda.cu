#include "kernels/attention/forward.cuh"

namespace sheaf::attention::cuda {
namespace {

/// Keys a tile, and those of them that a warp works on at a time: their scores take kPartColumns / 2 registers.
template <class Math, int kDim>
constexpr int kForwardColumns = kDim* Math::kBytes <= 128   ? 64
                                : kDim* Math::kBytes == 256 ? 32
                                                            : 16;
template <class Math, int kDim>
constexpr int kPartColumns = kForwardColumns<Math, kDim> < 32 ? kForwardColumns<Math, kDim> : 32;

/// Queries of kStages work tiles, then kStages tiles of keys and values.
template <class Math, int kDim>
constexpr size_t forward_bytes(int warps) {
  constexpr int kPitch = pitch_of(kDim * Math::kBytes);
  return static_cast<size_t>(kStages * kPitch) * static_cast<size_t>(16 * warps + 2 * kForwardColumns<Math, kDim>);
}

/// Task of run_work_tiles: a warp has 16 query rows. All warps meet the same keys, one tile at a time, by online
/// softmax (Milakov and Gimelshein, 2018; Dao et al., 2022).
template <class Math, int kDim>
class ForwardTask {
 public:
  static constexpr int kColumns = kForwardColumns<Math, kDim>;
  static constexpr int kPart = kPartColumns<Math, kDim>;
  static constexpr int kRowBytes = kDim * Math::kBytes;
  static constexpr int kPitch = pitch_of(kRowBytes);

  __device__ ForwardTask(const Forward& call, unsigned char* memory)
      : call_(call), shape_(call.args.shape), memory_(memory) {}

  __device__ int n_tiles(const WorkTile& work_tile) const {
    const int32_t end = work_tile.row + call_.schedule.block_rows;
    const int32_t n_keys = shape_.causal && end < work_tile.length ? end : work_tile.length;
    return (n_keys + kColumns - 1) / kColumns;
  }

  __device__ void load_work_tile(int ordinal, const WorkTile& work_tile) const {
    load_rows<kRowBytes>(query_tile(ordinal), PitchedRows{kPitch}, call_.schedule.block_rows,
                         row_source(call_.args.q, shape_, work_tile, work_tile.head, work_tile.row, Math::kBytes),
                         call_.rows);
  }

  __device__ void load_tile(int stage, const WorkTile& work_tile, int tile) const {
    const int32_t kv_head = work_tile.head / call_.group;
    load_keys<kRowBytes, Math::kBytes>(key_tile(stage), kPitch, kColumns, call_.args.k, call_.args.v, shape_, work_tile,
                                       kv_head, tile * kColumns, call_.rows);
  }

  __device__ void arrived() const {}
  __device__ void begin() { result_.begin(); }

  __device__ void work(const WorkTile& work_tile, int ordinal, int tile, int stage) {
    TilePlace place = warp_place(work_tile, tile * kColumns);
    if (place.row >= place.length) return;
    const unsigned char* keys = key_tile(stage);
#pragma unroll 1
    for (int part = 0; part < kColumns; part += kPart) {
      place.column = tile * kColumns + part;
      if (place.column >= place.length || (shape_.causal && place.column > place.row + 15)) return;
      float x[kPart / 8][4];
      multiply_rows<Math, kDim, kPart>(x, warp_queries(ordinal), 0, keys + part * kPitch, kPitch);
      finish_scores<false>(shape_, place, x);
      result_.take(x);
      if (call_.mask.active()) drop(call_.mask, place, x);
      multiply_columns<Math, kDim, kPart>(result_.sums, x, keys + (kColumns + part) * kPitch, kPitch);
    }
  }

  __device__ void finish(const WorkTile& work_tile, int ordinal) {
    // The warp's queries have served; only this warp reads their place.
    result_.template finish<Math>(call_, warp_place(work_tile, 0), warp_queries(ordinal), kPitch);
  }

 private:
  __device__ unsigned char* query_tile(int ordinal) const {
    return memory_ + ordinal % kStages * call_.schedule.block_rows * kPitch;
  }
  __device__ unsigned char* warp_queries(int ordinal) const { return query_tile(ordinal) + 16 * warp() * kPitch; }
  __device__ unsigned char* key_tile(int stage) const {
    return memory_ + (kStages * call_.schedule.block_rows + stage * 2 * kColumns) * kPitch;
  }

  const Forward& call_;
  const Shape& shape_;
  unsigned char* memory_;
  ForwardRows<kDim> result_;
};

template <class Math, int kDim>
__global__ void __launch_bounds__(kMaxThreads, kDim <= 64 ? 2 : 1) attention_kernel(Forward call) {
  SHEAF_DYNAMIC_SHARED(memory);
  ForwardTask<Math, kDim> task(call, memory);
  run_work_tiles(task, call.schedule, call.args.shape);
}

}  // namespace

void attention(Context& context, const AttentionArgs& args) {
  if (takes_warpgroups(context, args)) return attention_by_wgmma(context, args);
  ScratchScope scratch(context);
  for_math(args.shape, [&]<class Math, int kDim>() {
    const int warps = choose_warps(context, args.shape.max_length, forward_bytes<Math, kDim>);
    const size_t shared = forward_bytes<Math, kDim>(warps);
    const Forward call = forward_call(context, scratch, args, warps);
    const auto kernel = attention_kernel<Math, kDim>;
    launch(kernel, resident_blocks(context, kernel, warps * kWarp, shared), warps * kWarp, shared, context, call);
  });
}

}  // namespace sheaf::attention::cuda
