#include "kernels/attention/warpgroup_rows.cuh"
#include "kernels/core/cuda/tensor_copy.cuh"

namespace sheaf::attention::cuda {
namespace {

constexpr int kTmaStages = 3;  // tiles of keys and values
constexpr int kQuerySlots = 2;
// The work tile before, this one and the next: the slowest thread may still be in the first.
constexpr int kWorkTileSlots = 3;

struct TensorMaps {
  TensorMap q, k, v;
};

/// What a block's threads tell each other about the pipeline of tiles.
struct PipelineState {
  uint64_t full[kTmaStages], empty[kTmaStages], queries_full[kQuerySlots];
  WorkTile work_tiles[kWorkTileSlots];
  // Only the loading thread uses these. They are here because a register of one thread is a register of all threads.
  TileIterator iterator;
  WorkTile work_tile;
  int tile;                   // the next one of the work tile to load
  int n_tiles, n_work_tiles;  // over all
};
static_assert(sizeof(PipelineState) <= kSwizzleAlignment);

/// Shared memory: the pipeline state; then the tiles of keys and values and the queries of two work tiles, in swizzled
/// columns of 64 elements; then one place for each warp, for rows on their way out.
template <int kDim>
struct TmaLayout {
  static size_t bytes(int warps) {
    const int rows = 16 * warps;
    return static_cast<size_t>(2 * kSwizzleAlignment + kTmaStages * 2 * kKeyTileBytes<kDim> +
                               kQuerySlots * rows * kDim * 2 + rows * pitch_of(kDim * 2));
  }
  __device__ PipelineState& pipeline() const { return *reinterpret_cast<PipelineState*>(memory); }
  __device__ unsigned char* keys(int stage) const {
    return memory + kSwizzleAlignment + stage * 2 * kKeyTileBytes<kDim>;
  }
  __device__ unsigned char* values(int stage) const { return keys(stage) + kKeyTileBytes<kDim>; }
  __device__ unsigned char* queries(int place) const { return keys(kTmaStages) + place * block_rows * kDim * 2; }
  __device__ unsigned char* out(int warp) const { return queries(kQuerySlots) + warp * 16 * pitch_of(kDim * 2); }

  unsigned char* memory;
  int block_rows;
};

/// A block's work tiles. The warpgroups do not wait for each other: one may multiply while another computes its
/// softmax. The first thread loads, two tiles ahead. `full` says that a tile has arrived, `empty` that all warps are
/// done with it. Above 64 dimensions a processor has one block; there, the scores of the next tile are multiplied
/// during the softmax of this one, too.
///
/// A TMA tile may reach into the next sequence and over hidden keys. The scores of such keys are overwritten. Such rows
/// of values become zeros, because 0 x NaN would reach the sums. The rows of such queries are not written.
template <MmaType kType, int kDim>
class TmaForward {
 public:
  static constexpr bool kAhead = kDim > 64;
  using Rows = WarpgroupRows<kType, kDim>;
  using Scores = typename Rows::Scores;

  __device__ TmaForward(const Forward& call, const TensorMaps& maps, unsigned char* memory)
      : call_(call),
        shape_(call.args.shape),
        maps_(maps),
        layout_{memory + (-shared_address(memory) & (kSwizzleAlignment - 1)), call.schedule.block_rows} {
    PipelineState& pipeline = layout_.pipeline();
    if (is_loader()) {
      prefetch_map(maps.q);
      prefetch_map(maps.k);
      prefetch_map(maps.v);
      for (int s = 0; s < kTmaStages; ++s) {
        barrier_init(&pipeline.full[s]);
        barrier_init(&pipeline.empty[s], blockDim.x / kWarp);
      }
      for (int p = 0; p < kQuerySlots; ++p) barrier_init(&pipeline.queries_full[p]);
      pipeline.tile = pipeline.n_tiles = pipeline.n_work_tiles = 0;
      pipeline.iterator.start(call.schedule);
    }
    __syncthreads();
    if (is_loader()) {
      for (int t = 0; t + 1 < kTmaStages; ++t) load_tile();
    }
    __syncwarp();
  }

  __device__ void run() {
    for (int ordinal = 0;; ++ordinal) {
      barrier_wait(&layout_.pipeline().queries_full[ordinal % kQuerySlots], ordinal / kQuerySlots % 2);
      const WorkTile& work_tile = layout_.pipeline().work_tiles[ordinal % kWorkTileSlots];
      if (work_tile.length == 0) return;
      load_rows_of_a(layout_.queries(ordinal % kQuerySlots));
      __syncthreads();  // nobody reads these queries or the work tile before any more
      rows_.result.begin();
      work(work_tile);
      rows_.result.template finish<typename Rows::Math>(call_, warp_place(work_tile, 0), layout_.out(warp()),
                                                        pitch_of(kDim * 2));
    }
  }

 private:
  __device__ static bool is_loader() { return threadIdx.x == 0; }
  __device__ int n_tiles(const WorkTile& work_tile) const { return tiles_seen(shape_, work_tile, layout_.block_rows); }

  /// Only the loading thread calls this. It fetches a work tile and begins to load its queries. Threads that wait for
  /// the queries see what is written here.
  __device__ void begin_work_tile() {
    WorkTile& work_tile = layout_.pipeline().work_tile;
    work_tile = layout_.pipeline().iterator.next(call_.schedule, shape_);
    const int number = layout_.pipeline().n_work_tiles++;
    layout_.pipeline().work_tiles[number % kWorkTileSlots] = work_tile;
    uint64_t* full = &layout_.pipeline().queries_full[number % kQuerySlots];
    const int bytes = work_tile.length > 0 ? layout_.block_rows * kDim * 2 : 0;
    barrier_expect(full, static_cast<uint32_t>(bytes));
    if (work_tile.length == 0) return;
    unsigned char* to = layout_.queries(number % kQuerySlots);
    const auto token = static_cast<int32_t>(work_tile.first + work_tile.row);
#pragma unroll
    for (int block = 0; block < kDim / 64; ++block) {
      tensor_copy(to + block * layout_.block_rows * kSwizzledRowBytes, maps_.q, block * 64, work_tile.head, token,
                  full);
    }
  }

  /// Only the loading thread calls this. It begins to load the next tile, if there is one; before a work tile's first
  /// tile, also its queries.
  __device__ void load_tile() {
    const WorkTile& work_tile = layout_.pipeline().work_tile;
    if (layout_.pipeline().tile == 0) {
      if (layout_.pipeline().n_work_tiles > 0 && work_tile.length == 0) return;
      begin_work_tile();
      if (work_tile.length == 0) return;
    }
    const int stage = layout_.pipeline().n_tiles % kTmaStages, round = layout_.pipeline().n_tiles / kTmaStages;
    if (round > 0) barrier_wait(&layout_.pipeline().empty[stage], (round - 1) % 2);
    barrier_expect(&layout_.pipeline().full[stage], 2 * kKeyTileBytes<kDim>);
    const int32_t head = work_tile.head / call_.group;
    const auto token = static_cast<int32_t>(work_tile.first + layout_.pipeline().tile * kTileKeys);
#pragma unroll
    for (int block = 0; block < kDim / 64; ++block) {
      tensor_copy(layout_.keys(stage) + block * kTileBlockBytes, maps_.k, block * 64, head, token,
                  &layout_.pipeline().full[stage]);
      tensor_copy(layout_.values(stage) + block * kTileBlockBytes, maps_.v, block * 64, head, token,
                  &layout_.pipeline().full[stage]);
    }
    ++layout_.pipeline().n_tiles;
    if (++layout_.pipeline().tile == n_tiles(work_tile)) layout_.pipeline().tile = 0;
  }

  /// The warp's 16 queries into registers.
  __device__ void load_rows_of_a(const unsigned char* tile) {
    const int row = 16 * warp() + lane() % 16;
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      const unsigned char* block = tile + k / 4 * layout_.block_rows * kSwizzledRowBytes;
      load_matrices<false>(rows_.queries[k].r, block + swizzled(row, k % 4 * 32 + lane() / 16 * 16));
    }
  }

  /// Waits for the tile `number`, counted over all work tiles. Its rows of values that must not be seen become zeros.
  __device__ void await(const WorkTile& work_tile, int tile, int number) {
    const int stage = number % kTmaStages;
    barrier_wait(&layout_.pipeline().full[stage], number / kTmaStages % 2);
    const int32_t first = tile * kTileKeys, n_rows = work_tile.length - first;
    const uint8_t* keep = shape_.key_keep.empty() ? nullptr : shape_.key_keep.data + work_tile.first + first;
    if (n_rows >= kTileKeys && keep == nullptr) return;
    auto* values = reinterpret_cast<uint4*>(layout_.values(stage));
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < kKeyTileBytes<kDim> / 16; i += static_cast<int>(blockDim.x)) {
      const int row = i * 16 / kSwizzledRowBytes % kTileKeys;
      if (row >= n_rows || (keep != nullptr && keep[row] == 0)) values[i] = uint4{0, 0, 0, 0};
    }
    fence_for_products();
    __syncthreads();
  }

  /// Whether any query of the warpgroup sees a key of the tile.
  __device__ bool sees(const WorkTile& work_tile, int tile) const {
    const int32_t first_row = work_tile.row + warp() / 4 * kWarpgroupRows;
    return first_row < work_tile.length && !(shape_.causal && tile * kTileKeys >= first_row + kWarpgroupRows);
  }

  __device__ void work(const WorkTile& work_tile) {
    const int n = n_tiles(work_tile);
    Scores x;
    if constexpr (kAhead) {
      await(work_tile, 0, n_worked_);
      if (sees(work_tile, 0)) {
        rows_.begin_scores(x, layout_.keys(n_worked_ % kTmaStages));
        warpgroup_wait<0>();
      }
    }
    for (int tile = 0; tile < n; ++tile, ++n_worked_) {
      if (is_loader()) load_tile();
      __syncwarp();
      const int stage = n_worked_ % kTmaStages;
      const TilePlace place = warp_place(work_tile, tile * kTileKeys);
      if constexpr (kAhead) {
        if (tile + 1 < n) await(work_tile, tile + 1, n_worked_ + 1);
        if (tile + 1 < n && sees(work_tile, tile + 1)) {
          Scores next;
          rows_.begin_scores(next, layout_.keys((n_worked_ + 1) % kTmaStages));
          rows_.weigh(call_, place, x);
          rows_.begin_sums(x, layout_.values(stage));
          warpgroup_wait<0>();
#pragma unroll
          for (int p = 0; p < kTileKeys / 8; ++p) {
#pragma unroll
            for (int e = 0; e < 4; ++e) x[p][e] = next[p][e];
          }
        } else if (sees(work_tile, tile)) {
          rows_.weigh(call_, place, x);
          rows_.begin_sums(x, layout_.values(stage));
          warpgroup_wait<0>();
        }
      } else {
        await(work_tile, tile, n_worked_);
        if (sees(work_tile, tile)) {
          rows_.begin_scores(x, layout_.keys(stage));
          warpgroup_wait<0>();
          rows_.weigh(call_, place, x);
          rows_.begin_sums(x, layout_.values(stage));
          warpgroup_wait<0>();
        }
      }
      __syncwarp();
      if (lane() == 0) barrier_arrive(&layout_.pipeline().empty[stage]);
    }
  }

  const Forward& call_;
  const Shape& shape_;
  const TensorMaps& maps_;
  TmaLayout<kDim> layout_;
  int n_worked_ = 0;  // tiles
  Rows rows_;
};

template <MmaType kType, int kDim>
__global__ void __launch_bounds__(kMaxThreads, kDim <= 64 ? 2 : 1)
    wgmma_tma_attention_kernel(Forward call, const __grid_constant__ TensorMaps maps) {
  SHEAF_DYNAMIC_SHARED(memory);
  TmaForward<kType, kDim>(call, maps, memory).run();
}

/// True if pointers and strides meet TMA's requirements.
bool meets_tma_requirements(const AttentionArgs& args) {
  const Shape& shape = args.shape;
  RowAlignment alignment(shape);
  alignment << args.q << args.k << args.v;
  const auto fits = [&](const Heads<const void>& heads) {
    return heads.stride % shape.dim == 0 && heads.stride < int64_t{1} << 39;
  };
  return alignment.shape().copy_bytes == 16 && fits(args.q) && fits(args.k) && fits(args.v) &&
         shape.n_tokens < int64_t{1} << 31;
}

/// A map of tiles: n_rows tokens of one head by 64 columns.
TensorMap map_of(const AttentionArgs& args, const Heads<const void>& heads, int n_rows) {
  const auto dim = static_cast<uint64_t>(args.shape.dim);
  const TensorShape shape{{dim, static_cast<uint64_t>(heads.n_heads), static_cast<uint64_t>(args.shape.n_tokens)},
                          {2 * dim, 2 * static_cast<uint64_t>(heads.stride)}};
  return swizzled_map(heads.data, shape, 1, static_cast<uint32_t>(n_rows));
}

}  // namespace

template <MmaType kType>
bool attention_by_wgmma_tma(Context& context, const AttentionArgs& args) {
  if (!meets_tma_requirements(args)) return false;
  ScratchScope scratch(context);
  const int warps = args.shape.max_length > kWarpgroupRows ? 8 : 4;
  const Forward call = forward_call(context, scratch, args, warps);
  const TensorMaps maps{map_of(args, args.q, 16 * warps), map_of(args, args.k, kTileKeys),
                        map_of(args, args.v, kTileKeys)};
  const auto launch_for = [&]<int kDim>() {
    const size_t shared = TmaLayout<kDim>::bytes(warps);
    const auto kernel = wgmma_tma_attention_kernel<kType, kDim>;
    launch(kernel, resident_blocks(context, kernel, warps * kWarp, shared), warps * kWarp, shared, context, call, maps);
  };
  if (args.shape.dim <= 64) {
    launch_for.template operator()<64>();
  } else {
    launch_for.template operator()<kMaxDim>();
  }
  return true;
}

template bool attention_by_wgmma_tma<MmaType::bf16>(Context& context, const AttentionArgs& args);
template bool attention_by_wgmma_tma<MmaType::f16>(Context& context, const AttentionArgs& args);

}  // namespace sheaf::attention::cuda
