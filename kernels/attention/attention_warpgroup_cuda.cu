#include "kernels/attention/forward.cuh"
#include "kernels/attention/warpgroup_tiles.cuh"

namespace sheaf::attention::cuda {
namespace {

/// kStages tiles of keys and values, then the queries of kStages units; the tiles' alignment may cost as much again as it is.
template <int kDim>
constexpr size_t warpgroup_bytes(int warps) {
  return static_cast<size_t>(kSwizzleAlignment + kStages * (2 * kKeyTileBytes<kDim> + 16 * warps * pitch_of(kDim * 2)));
}

/// Task of run_units: four warps share products of 64 query rows, keys and values are read from shared memory once for them. Tiles is
/// CopiedTiles or BoxedTiles.
template <MmaType kType, int kDim, class Tiles>
class WarpgroupTask {
 public:
  using Math = HalfMath<kType>;
  static constexpr int kPitch = pitch_of(kDim * 2);
  static constexpr int kBlocks = kDim / 64;  // columns of 64 elements

  __device__ WarpgroupTask(const Forward& call, const typename Tiles::Maps& maps, unsigned char* memory)
      : call_(call),
        shape_(call.args.shape),
        memory_(memory + (-shared_address(memory) & (kSwizzleAlignment - 1))),
        tiles_(maps) {}

  __device__ int n_tiles(const Unit& unit) const {
    const int32_t end = unit.row + call_.schedule.block_rows;
    const int32_t n_keys = shape_.causal && end < unit.length ? end : unit.length;
    return (n_keys + kTileKeys - 1) / kTileKeys;
  }
  __device__ void load_unit(int ordinal, const Unit& unit) const {
    load_rows<kDim * 2>(query_tile(ordinal), PitchedRows{kPitch}, call_.schedule.block_rows,
                        row_source(call_.args.q, shape_, unit, unit.head, unit.row, 2), call_.rows);
  }
  __device__ void load_tile(int stage, const Unit& unit, int tile) const {
    tiles_.load(call_, key_tile(stage), value_tile(stage), unit, tile, stage);
  }
  __device__ void arrived(const Unit& unit, int tile, int stage) {
    tiles_.arrived(shape_, value_tile(stage), unit, tile, stage);
  }
  __device__ void begin() { result_.begin(); }

  __device__ void work(const Unit& unit, int ordinal, int tile, int stage) {
    const TilePlace place = warp_place(unit, tile * kTileKeys);
    const int32_t first_row = unit.row + warp() / 4 * kWarpgroupRows;  // of the four warps, which go on together
    if (first_row >= place.length || (shape_.causal && place.column >= first_row + kWarpgroupRows)) return;
    if (tile == 0) {
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) queries_[k] = Math::load_a(warp_queries(ordinal), kPitch, 0, k * 16);
    }
    float x[kTileKeys / 8][4];
    warpgroup_fence();
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      const unsigned char* keys = key_tile(stage) + k / 4 * kTileBlockBytes + k % 4 * 32;
      warpgroup_multiply<kType, false>(x, queries_[k].r, swizzled_operand(keys), k > 0);
    }
    warpgroup_commit();
    warpgroup_wait<0>();
    finish_scores<false>(shape_, place, x);
    result_.take(x);
    if (call_.mask.active()) drop(call_.mask, place, x);
    typename Math::A weights[kTileKeys / 16];
#pragma unroll
    for (int k = 0; k < kTileKeys / 16; ++k) weights[k] = Math::from_result(&x[2 * k]);
    warpgroup_fence();
#pragma unroll
    for (int k = 0; k < kTileKeys / 16; ++k) {
#pragma unroll
      for (int block = 0; block < kBlocks; ++block) {
        const unsigned char* values = value_tile(stage) + (block * kTileKeys + k * 16) * kSwizzledRowBytes;
        auto& sums = *reinterpret_cast<float(*)[8][4]>(&result_.sums[8 * block]);
        warpgroup_multiply<kType, true>(sums, weights[k].r, swizzled_operand(values), true);
      }
    }
    warpgroup_commit();
    warpgroup_wait<0>();
  }

  __device__ void finish(const Unit& unit, int ordinal) {
    // The warp's queries are in registers; only this warp reads their place.
    result_.template finish<Math>(call_, warp_place(unit, 0), warp_queries(ordinal), kPitch);
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
  Tiles tiles_;
  typename Math::A queries_[kDim / 16];
  ForwardRows<kDim> result_;
};

template <MmaType kType, int kDim, class Tiles>
__global__ void __launch_bounds__(kMaxThreads, kDim <= 64 ? 2 : 1)
    warpgroup_attention_kernel(Forward call, const __grid_constant__ typename Tiles::Maps maps) {
  SHEAF_DYNAMIC_SHARED(memory);
  WarpgroupTask<kType, kDim, Tiles> task(call, maps, memory);
  run_units(task, call.schedule, call.args.shape);
}

template <MmaType kType>
void run(Context& context, const AttentionArgs& args) {
  ScratchScope scratch(context);
  const auto launch_for = [&]<int kDim, class Tiles>() {
    const int warps = args.shape.max_length > kWarpgroupRows ? 8 : 4;
    const Forward call = forward_call(context, scratch, args, warps);
    const size_t shared = warpgroup_bytes<kDim>(warps);
    const auto kernel = warpgroup_attention_kernel<kType, kDim, Tiles>;
    launch(kernel, resident_blocks(context, kernel, warps * kWarp, shared), warps * kWarp, shared, context, call,
           Tiles::maps(args));
  };
  const auto launch_for_dim = [&]<int kDim>() {
    if (takes_boxes(args)) return launch_for.template operator()<kDim, BoxedTiles<kDim>>();
    launch_for.template operator()<kDim, CopiedTiles<kDim>>();
  };
  if (args.shape.dim <= 64) {
    launch_for_dim.template operator()<64>();
  } else {
    launch_for_dim.template operator()<kMaxDim>();
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

void attention_by_warpgroups(Context& context, const AttentionArgs& args) {
  if (args.shape.element == Element::bf16) return run<MmaType::bf16>(context, args);
  run<MmaType::f16>(context, args);
}

}  // namespace sheaf::attention::cuda
