#include "kernels/attention/warpgroup_rows.cuh"

namespace sheaf::attention::cuda {
namespace {

struct SwizzledBlocks {
  __device__ int operator()(int row, int byte) const {
    return byte / kSwizzledRowBytes * kTileBlockBytes + swizzled(row, byte % kSwizzledRowBytes);
  }
};

/// Bytes of kStages tiles of keys and values, then of the queries of kStages work tiles. Aligning the tiles costs up to
/// kSwizzleAlignment bytes.
template <int kDim>
constexpr size_t warpgroup_bytes(int warps) {
  return static_cast<size_t>(kSwizzleAlignment + kStages * (2 * kKeyTileBytes<kDim> + 16 * warps * pitch_of(kDim * 2)));
}

/// Task of run_work_tiles: all tiles come by cp.async, with zeros for hidden keys and behind the sequence.
template <MmaType kType, int kDim>
class WarpgroupTask {
 public:
  using Rows = WarpgroupRows<kType, kDim>;
  static constexpr int kPitch = pitch_of(kDim * 2);

  __device__ WarpgroupTask(const Forward& call, unsigned char* memory)
      : call_(call), shape_(call.args.shape), memory_(memory + (-shared_address(memory) & (kSwizzleAlignment - 1))) {}

  __device__ int n_tiles(const WorkTile& work_tile) const {
    return tiles_seen(shape_, work_tile, call_.schedule.block_rows);
  }
  __device__ void load_work_tile(int ordinal, const WorkTile& work_tile) const {
    load_rows<kDim * 2>(query_tile(ordinal), PitchedRows{kPitch}, call_.schedule.block_rows,
                        row_source(call_.args.q, shape_, work_tile, work_tile.head, work_tile.row, 2), call_.rows);
  }
  __device__ void load_tile(int stage, const WorkTile& work_tile, int tile) const {
    load_keys<kDim * 2, 2>(key_tile(stage), value_tile(stage), SwizzledBlocks{}, kTileKeys, call_.args.k, call_.args.v,
                           shape_, work_tile, work_tile.head / call_.group, tile * kTileKeys, call_.rows);
  }
  __device__ void arrived() const { fence_for_products(); }
  __device__ void begin() { rows_.result.begin(); }

  __device__ void work(const WorkTile& work_tile, int ordinal, int tile, int stage) {
    const TilePlace place = warp_place(work_tile, tile * kTileKeys);
    const int32_t first_row = work_tile.row + warp() / 4 * kWarpgroupRows;  // of the four warps, which go on together
    if (first_row >= place.length || (shape_.causal && place.column >= first_row + kWarpgroupRows)) return;
    if (tile == 0) {
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) {
        rows_.queries[k] = Rows::Math::load_a(warp_queries(ordinal), kPitch, 0, k * 16);
      }
    }
    typename Rows::Scores x;
    rows_.begin_scores(x, key_tile(stage));
    warpgroup_wait<0>();
    rows_.weigh(call_, place, x);
    rows_.begin_sums(x, value_tile(stage));
    warpgroup_wait<0>();
  }

  __device__ void finish(const WorkTile& work_tile, int ordinal) {
    // The warp's queries are in registers; only this warp reads their place.
    rows_.result.template finish<typename Rows::Math>(call_, warp_place(work_tile, 0), warp_queries(ordinal), kPitch);
  }

 private:
  __device__ unsigned char* key_tile(int stage) const { return memory_ + stage * 2 * kKeyTileBytes<kDim>; }
  __device__ unsigned char* value_tile(int stage) const { return key_tile(stage) + kKeyTileBytes<kDim>; }
  __device__ unsigned char* query_tile(int ordinal) const {
    return key_tile(kStages) + ordinal % kStages * call_.schedule.block_rows * kPitch;
  }
  __device__ unsigned char* warp_queries(int ordinal) const { return query_tile(ordinal) + 16 * warp() * kPitch; }

  const Forward& call_;
  const Shape& shape_;
  unsigned char* memory_;
  Rows rows_;
};

template <MmaType kType, int kDim>
__global__ void __launch_bounds__(kMaxThreads, kDim <= 64 ? 2 : 1) wgmma_attention_kernel(Forward call) {
  SHEAF_DYNAMIC_SHARED(memory);
  WarpgroupTask<kType, kDim> task(call, memory);
  run_work_tiles(task, call.schedule, call.args.shape);
}

template <MmaType kType>
void run(Context& context, const AttentionArgs& args) {
  if (attention_by_wgmma_tma<kType>(context, args)) return;
  ScratchScope scratch(context);
  const auto launch_for = [&]<int kDim>() {
    const int warps = args.shape.max_length > kWarpgroupRows ? 8 : 4;
    const Forward call = forward_call(context, scratch, args, warps);
    const size_t shared = warpgroup_bytes<kDim>(warps);
    const auto kernel = wgmma_attention_kernel<kType, kDim>;
    launch(kernel, resident_blocks(context, kernel, warps * kWarp, shared), warps * kWarp, shared, context, call);
  };
  if (args.shape.dim <= 64) {
    launch_for.template operator()<64>();
  } else {
    launch_for.template operator()<kMaxDim>();
  }
}

}  // namespace

bool knows_warpgroups([[maybe_unused]] const Context& context) {
#if defined(SHEAF_SIMT)
  return true;
#elif defined(SHEAF_SM90A)
  return device_limit(cudaDevAttrComputeCapabilityMajor, context) == 9;
#else
  return false;
#endif
}

bool takes_warpgroups(const Context& context, const AttentionArgs& args) {
  return args.products == Products::warpgroups && args.shape.element != Element::f32 && knows_warpgroups(context);
}

void attention_by_wgmma(Context& context, const AttentionArgs& args) {
  if (args.shape.element == Element::bf16) return run<MmaType::bf16>(context, args);
  run<MmaType::f16>(context, args);
}

}  // namespace sheaf::attention::cuda
