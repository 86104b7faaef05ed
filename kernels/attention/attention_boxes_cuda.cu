#include "kernels/attention/warpgroup_rows.cuh"
#include "kernels/core/cuda/tensor_copy.cuh"

namespace sheaf::attention::cuda {
namespace {

constexpr int kBoxStages = 3;  // tiles of keys and values
constexpr int kQueryPlaces = 2;
constexpr int kUnitPlaces = 3;  // of the unit before, this one and the next, while the slowest thread is in the first

struct Maps {
  TensorMap q, k, v;
};

/// What a block's threads tell each other.
struct Board {
  uint64_t full[kBoxStages], empty[kBoxStages], queries_full[kQueryPlaces];
  Unit units[kUnitPlaces];
  // The loading thread's own; here, for its registers would be every thread's.
  Walk walk;
  Unit unit;
  int tile;              // of the unit, the next one to load
  int n_tiles, n_units;  // over all
};
static_assert(sizeof(Board) <= kSwizzleAlignment);

/// The board; then, in columns of 64 elements, swizzled, tiles of keys and values and queries of two units; then rows on their way out, a
/// place a warp.
template <int kDim>
struct BoxedLayout {
  static size_t bytes(int warps) {
    const int rows = 16 * warps;
    return static_cast<size_t>(2 * kSwizzleAlignment + kBoxStages * 2 * kKeyTileBytes<kDim> +
                               kQueryPlaces * rows * kDim * 2 + rows * pitch_of(kDim * 2));
  }
  __device__ Board& board() const { return *reinterpret_cast<Board*>(memory); }
  __device__ unsigned char* keys(int stage) const {
    return memory + kSwizzleAlignment + stage * 2 * kKeyTileBytes<kDim>;
  }
  __device__ unsigned char* values(int stage) const { return keys(stage) + kKeyTileBytes<kDim>; }
  __device__ unsigned char* queries(int place) const { return keys(kBoxStages) + place * block_rows * kDim * 2; }
  __device__ unsigned char* out(int warp) const { return queries(kQueryPlaces) + warp * 16 * pitch_of(kDim * 2); }

  unsigned char* memory;
  int block_rows;
};

/// A block's units, by warpgroups that go on by themselves: one may multiply while another is at its softmax. The first thread is the one that
/// loads, two tiles ahead; `full` says that a tile has come, `empty` that all warps are done with it. Above 64 dimensions, where a processor
/// has one block, the next tile's scores are multiplied under this one's softmax too.
///
/// Boxes run on into the next sequence and over hidden keys. Scores of such keys are overwritten; such rows of values become zeros,
/// for 0 x NaN would reach the sums; such queries' rows are not written.
template <MmaType kType, int kDim>
class BoxedUnits {
 public:
  static constexpr bool kAhead = kDim > 64;
  using Rows = WarpgroupRows<kType, kDim>;
  using Scores = typename Rows::Scores;

  __device__ BoxedUnits(const Forward& call, const Maps& maps, unsigned char* memory)
      : call_(call),
        shape_(call.args.shape),
        maps_(maps),
        layout_{memory + (-shared_address(memory) & (kSwizzleAlignment - 1)), call.schedule.block_rows} {
    Board& board = layout_.board();
    if (is_loader()) {
      prefetch_map(maps.q);
      prefetch_map(maps.k);
      prefetch_map(maps.v);
      for (int s = 0; s < kBoxStages; ++s) {
        barrier_init(&board.full[s]);
        barrier_init(&board.empty[s], blockDim.x / kWarp);
      }
      for (int p = 0; p < kQueryPlaces; ++p) barrier_init(&board.queries_full[p]);
      board.tile = board.n_tiles = board.n_units = 0;
      board.walk.start(call.schedule);
    }
    __syncthreads();
    if (is_loader()) {
      for (int t = 0; t + 1 < kBoxStages; ++t) load_tile();
    }
    __syncwarp();
  }

  __device__ void run() {
    for (int ordinal = 0;; ++ordinal) {
      barrier_wait(&layout_.board().queries_full[ordinal % kQueryPlaces], ordinal / kQueryPlaces % 2);
      const Unit& unit = layout_.board().units[ordinal % kUnitPlaces];
      if (unit.length == 0) return;
      load_rows_of_a(layout_.queries(ordinal % kQueryPlaces));
      __syncthreads();  // nobody reads these queries or the unit before any more
      rows_.result.begin();
      work(unit);
      rows_.result.template finish<typename Rows::Math>(call_, warp_place(unit, 0), layout_.out(warp()),
                                                        pitch_of(kDim * 2));
    }
  }

 private:
  __device__ static bool is_loader() { return threadIdx.x == 0; }
  __device__ int n_tiles(const Unit& unit) const { return tiles_seen(shape_, unit, layout_.block_rows); }

  /// The loader's: fetches a unit and begins to load its queries. What is written here is seen by those who wait for them.
  __device__ void begin_unit() {
    Unit& unit = layout_.board().unit;
    unit = layout_.board().walk.next(call_.schedule, shape_);
    const int number = layout_.board().n_units++;
    layout_.board().units[number % kUnitPlaces] = unit;
    uint64_t* full = &layout_.board().queries_full[number % kQueryPlaces];
    const int bytes = unit.length > 0 ? layout_.block_rows * kDim * 2 : 0;
    barrier_expect(full, static_cast<uint32_t>(bytes));
    if (unit.length == 0) return;
    unsigned char* to = layout_.queries(number % kQueryPlaces);
    const auto token = static_cast<int32_t>(unit.first + unit.row);
#pragma unroll
    for (int block = 0; block < kDim / 64; ++block) {
      tensor_copy(to + block * layout_.block_rows * kSwizzledRowBytes, maps_.q, block * 64, unit.head, token, full);
    }
  }

  /// The loader's: begins to load the next tile, with a unit's first one its queries, if there is one.
  __device__ void load_tile() {
    const Unit& unit = layout_.board().unit;
    if (layout_.board().tile == 0) {
      if (layout_.board().n_units > 0 && unit.length == 0) return;
      begin_unit();
      if (unit.length == 0) return;
    }
    const int stage = layout_.board().n_tiles % kBoxStages, round = layout_.board().n_tiles / kBoxStages;
    if (round > 0) barrier_wait(&layout_.board().empty[stage], (round - 1) % 2);
    barrier_expect(&layout_.board().full[stage], 2 * kKeyTileBytes<kDim>);
    const int32_t head = unit.head / call_.group;
    const auto token = static_cast<int32_t>(unit.first + layout_.board().tile * kTileKeys);
#pragma unroll
    for (int block = 0; block < kDim / 64; ++block) {
      tensor_copy(layout_.keys(stage) + block * kTileBlockBytes, maps_.k, block * 64, head, token,
                  &layout_.board().full[stage]);
      tensor_copy(layout_.values(stage) + block * kTileBlockBytes, maps_.v, block * 64, head, token,
                  &layout_.board().full[stage]);
    }
    ++layout_.board().n_tiles;
    if (++layout_.board().tile == n_tiles(unit)) layout_.board().tile = 0;
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

  /// Waits for the tile, counted over all units; its rows of values that must not be seen become zeros.
  __device__ void await(const Unit& unit, int tile, int number) {
    const int stage = number % kBoxStages;
    barrier_wait(&layout_.board().full[stage], number / kBoxStages % 2);
    const int32_t first = tile * kTileKeys, n_rows = unit.length - first;
    const uint8_t* keep = shape_.key_keep.empty() ? nullptr : shape_.key_keep.data + unit.first + first;
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
  __device__ bool sees(const Unit& unit, int tile) const {
    const int32_t first_row = unit.row + warp() / 4 * kWarpgroupRows;
    return first_row < unit.length && !(shape_.causal && tile * kTileKeys >= first_row + kWarpgroupRows);
  }

  __device__ void work(const Unit& unit) {
    const int n = n_tiles(unit);
    Scores x;
    if constexpr (kAhead) {
      await(unit, 0, n_worked_);
      if (sees(unit, 0)) {
        rows_.begin_scores(x, layout_.keys(n_worked_ % kBoxStages));
        warpgroup_wait<0>();
      }
    }
    for (int tile = 0; tile < n; ++tile, ++n_worked_) {
      if (is_loader()) load_tile();
      __syncwarp();
      const int stage = n_worked_ % kBoxStages;
      const TilePlace place = warp_place(unit, tile * kTileKeys);
      if constexpr (kAhead) {
        if (tile + 1 < n) await(unit, tile + 1, n_worked_ + 1);
        if (tile + 1 < n && sees(unit, tile + 1)) {
          Scores next;
          rows_.begin_scores(next, layout_.keys((n_worked_ + 1) % kBoxStages));
          rows_.weigh(call_, place, x);
          rows_.begin_sums(x, layout_.values(stage));
          warpgroup_wait<0>();
#pragma unroll
          for (int p = 0; p < kTileKeys / 8; ++p) {
#pragma unroll
            for (int e = 0; e < 4; ++e) x[p][e] = next[p][e];
          }
        } else if (sees(unit, tile)) {
          rows_.weigh(call_, place, x);
          rows_.begin_sums(x, layout_.values(stage));
          warpgroup_wait<0>();
        }
      } else {
        await(unit, tile, n_worked_);
        if (sees(unit, tile)) {
          rows_.begin_scores(x, layout_.keys(stage));
          warpgroup_wait<0>();
          rows_.weigh(call_, place, x);
          rows_.begin_sums(x, layout_.values(stage));
          warpgroup_wait<0>();
        }
      }
      __syncwarp();
      if (lane() == 0) barrier_arrive(&layout_.board().empty[stage]);
    }
  }

  const Forward& call_;
  const Shape& shape_;
  const Maps& maps_;
  BoxedLayout<kDim> layout_;
  int n_worked_ = 0;  // tiles
  Rows rows_;
};

template <MmaType kType, int kDim>
__global__ void __launch_bounds__(kMaxThreads, kDim <= 64 ? 2 : 1)
    boxed_attention_kernel(Forward call, const __grid_constant__ Maps maps) {
  SHEAF_DYNAMIC_SHARED(memory);
  BoxedUnits<kType, kDim>(call, maps, memory).run();
}

/// True if pointers and strides meet TMA's requirements.
bool takes_boxes(const AttentionArgs& args) {
  const Shape& shape = args.shape;
  RowAlignment alignment(shape);
  alignment << args.q << args.k << args.v;
  const auto fits = [&](const Heads<const void>& heads) {
    return heads.stride % shape.dim == 0 && heads.stride < int64_t{1} << 39;
  };
  return alignment.shape().copy_bytes == 16 && fits(args.q) && fits(args.k) && fits(args.v) &&
         shape.n_tokens < int64_t{1} << 31;
}

/// Boxes of one head's n_rows tokens by 64 columns.
TensorMap map_of(const AttentionArgs& args, const Heads<const void>& heads, int n_rows) {
  const auto dim = static_cast<uint64_t>(args.shape.dim);
  const TensorShape shape{{dim, static_cast<uint64_t>(heads.n_heads), static_cast<uint64_t>(args.shape.n_tokens)},
                          {2 * dim, 2 * static_cast<uint64_t>(heads.stride)}};
  return swizzled_map(heads.data, shape, 1, static_cast<uint32_t>(n_rows));
}

}  // namespace

template <MmaType kType>
bool attention_by_boxes(Context& context, const AttentionArgs& args) {
  if (!takes_boxes(args)) return false;
  ScratchScope scratch(context);
  const int warps = args.shape.max_length > kWarpgroupRows ? 8 : 4;
  const Forward call = forward_call(context, scratch, args, warps);
  const Maps maps{map_of(args, args.q, 16 * warps), map_of(args, args.k, kTileKeys), map_of(args, args.v, kTileKeys)};
  const auto launch_for = [&]<int kDim>() {
    const size_t shared = BoxedLayout<kDim>::bytes(warps);
    const auto kernel = boxed_attention_kernel<kType, kDim>;
    launch(kernel, resident_blocks(context, kernel, warps * kWarp, shared), warps * kWarp, shared, context, call, maps);
  };
  if (args.shape.dim <= 64) {
    launch_for.template operator()<64>();
  } else {
    launch_for.template operator()<kMaxDim>();
  }
  return true;
}

template bool attention_by_boxes<MmaType::bf16>(Context& context, const AttentionArgs& args);
template bool attention_by_boxes<MmaType::f16>(Context& context, const AttentionArgs& args);

}  // namespace sheaf::attention::cuda
