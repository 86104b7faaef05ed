#include "kernels/attention/attention.hpp"
#include "kernels/attention/launch_shape.cuh"
#include "kernels/attention/tile_gradients.cuh"

namespace sheaf::attention::cuda {
namespace {

/// Two tiles of block_rows rows for kStages work tiles, two of kColumns for kStages tiles, then floats.
template <class Math, int kDim>
struct BackwardLayout {
  static constexpr int kColumns = kBackwardColumns<Math, kDim>;
  static constexpr int kRowBytes = kDim * Math::kBytes;
  static constexpr int kPitch = pitch_of(kRowBytes);

  static size_t bytes(int warps, size_t n_floats) {
    return static_cast<size_t>(kStages * 2 * kPitch) * static_cast<size_t>(16 * warps + kColumns) +
           n_floats * sizeof(float);
  }
  __device__ unsigned char* row_tile(int ordinal) const { return memory + ordinal % kStages * 2 * block_rows * kPitch; }
  /// The warp's rows in one of a work tile's two tiles.
  __device__ unsigned char* warp_rows(int ordinal, int which) const {
    return row_tile(ordinal) + (which * block_rows + 16 * warp()) * kPitch;
  }
  __device__ unsigned char* column_tile(int stage) const {
    return memory + (kStages * 2 * block_rows + stage * 2 * kColumns) * kPitch;
  }
  __device__ float* floats() const { return reinterpret_cast<float*>(column_tile(kStages)); }

  unsigned char* memory;
  int block_rows;
};

/// Task of run_work_tiles for d_q and the bias: as the forward pass, with d_out beside the queries.
template <class Math, int kDim>
class QueryTask {
 public:
  using Layout = BackwardLayout<Math, kDim>;
  static constexpr int kColumns = Layout::kColumns;
  static constexpr int kPitch = Layout::kPitch;

  __device__ QueryTask(const Backward& call, unsigned char* memory)
      : call_(call), layout_{memory, call.schedule.block_rows} {}

  __device__ int n_tiles(const WorkTile& work_tile) const {
    const int32_t end = work_tile.row + call_.schedule.block_rows;
    const int32_t n_keys = call_.args.shape.causal && end < work_tile.length ? end : work_tile.length;
    return (n_keys + kColumns - 1) / kColumns;
  }
  __device__ void load_work_tile(int ordinal, const WorkTile& work_tile) const {
    load_queries<Layout::kRowBytes, Math::kBytes>(layout_.row_tile(ordinal), kPitch, call_.schedule.block_rows, call_,
                                                  work_tile, work_tile.head, work_tile.row);
  }
  __device__ void load_tile(int stage, const WorkTile& work_tile, int tile) const {
    const int32_t kv_head = work_tile.head / call_.group;
    load_keys<Layout::kRowBytes, Math::kBytes>(layout_.column_tile(stage), kPitch, kColumns, call_.args.k, call_.args.v,
                                               call_.args.shape, work_tile, kv_head, tile * kColumns, call_.rows);
  }
  __device__ void arrived() const {}
  __device__ void begin() {}
  __device__ void work(const WorkTile& work_tile, int ordinal, int tile, int stage) {
    const TilePlace place = warp_place(work_tile, tile * kColumns);
    if (place.row >= place.length) return;
    if (tile == 0) {
      rows_.begin(call_, place, layout_.warp_rows(ordinal, 1), kPitch);
    }
    if (call_.args.shape.causal && place.column > place.row + 15) return;
    const unsigned char* keys = layout_.column_tile(stage);
    rows_.work(call_, place, layout_.warp_rows(ordinal, 0), layout_.warp_rows(ordinal, 1), keys,
               keys + kColumns * kPitch, kPitch, layout_.floats());
  }
  __device__ void finish(const WorkTile& work_tile, int ordinal) {
    const TilePlace place = warp_place(work_tile, 0);
    if (place.row >= place.length) return;
    const Shape& shape = call_.args.shape;
    write_result<Math, kDim>(call_.args.d_q, shape, place, rows_.d_q, shape.scale, shape.scale,
                             layout_.warp_rows(ordinal, 0), kPitch, call_.rows);
  }

 private:
  const Backward& call_;
  Layout layout_;
  QueryRows<Math, kDim> rows_;
};

/// Task of run_work_tiles for d_k and d_v. A warp has 16 keys. All warps meet the same queries, head by head of the
/// group.
template <class Math, int kDim>
class KeyTask {
 public:
  using Layout = BackwardLayout<Math, kDim>;
  static constexpr int kColumns = Layout::kColumns;
  static constexpr int kPitch = Layout::kPitch;

  __device__ KeyTask(const Backward& call, unsigned char* memory)
      : call_(call), layout_{memory, call.schedule.block_rows} {}

  __device__ int n_tiles(const WorkTile& work_tile) const { return call_.group * tiles_a_head(work_tile); }
  __device__ void load_work_tile(int ordinal, const WorkTile& work_tile) const {
    load_keys<Layout::kRowBytes, Math::kBytes>(layout_.row_tile(ordinal), kPitch, call_.schedule.block_rows,
                                               call_.args.k, call_.args.v, call_.args.shape, work_tile, work_tile.head,
                                               work_tile.row, call_.rows);
  }
  __device__ void load_tile(int stage, const WorkTile& work_tile, int tile) const {
    const int32_t head = work_tile.head * call_.group + tile / tiles_a_head(work_tile);
    const int32_t first = query_of(work_tile, tile);
    load_queries<Layout::kRowBytes, Math::kBytes>(layout_.column_tile(stage), kPitch, kColumns, call_, work_tile, head,
                                                  first);
    load_statistics(statistics(stage), kColumns, call_, work_tile, head, first);
  }
  __device__ void arrived() const {}
  __device__ void begin() { rows_.begin(); }
  __device__ void work(const WorkTile& work_tile, int ordinal, int tile, int stage) {
    TilePlace place = warp_place(work_tile, query_of(work_tile, tile));
    place.head = work_tile.head * call_.group + tile / tiles_a_head(work_tile);
    if (place.row >= place.length) return;
    if (call_.args.shape.causal && place.column + kColumns - 1 < place.row) return;
    const unsigned char* queries = layout_.column_tile(stage);
    const float* log_sum_exp = statistics(stage);
    rows_.work(call_, place, layout_.warp_rows(ordinal, 0), layout_.warp_rows(ordinal, 1), queries,
               queries + kColumns * kPitch, kPitch, log_sum_exp, log_sum_exp + kColumns);
  }
  __device__ void finish(const WorkTile& work_tile, int ordinal) {
    const TilePlace place = warp_place(work_tile, 0);
    if (place.row >= place.length) return;
    const Shape& shape = call_.args.shape;
    write_result<Math, kDim>(call_.args.d_k, shape, place, rows_.d_k, shape.scale, shape.scale,
                             layout_.warp_rows(ordinal, 0), kPitch, call_.rows);
    write_result<Math, kDim>(call_.args.d_v, shape, place, rows_.d_v, 1.0f, 1.0f, layout_.warp_rows(ordinal, 0), kPitch,
                             call_.rows);
  }

 private:
  /// The first tile of queries that see a key of the work tile.
  __device__ int first_tile(const WorkTile& work_tile) const {
    return call_.args.shape.causal ? work_tile.row / kColumns : 0;
  }
  __device__ int tiles_a_head(const WorkTile& work_tile) const {
    return (work_tile.length + kColumns - 1) / kColumns - first_tile(work_tile);
  }
  __device__ int32_t query_of(const WorkTile& work_tile, int tile) const {
    return (first_tile(work_tile) + tile % tiles_a_head(work_tile)) * kColumns;
  }
  __device__ float* statistics(int stage) const { return layout_.floats() + stage * 2 * kColumns; }

  const Backward& call_;
  Layout layout_;
  KeyRows<Math, kDim> rows_;
};

/// Short sequences: shared memory holds q, d_out, k and v of one whole sequence and head, kStages times. Everything is
/// read once.
template <class Math, int kDim>
struct ShortLayout {
  static constexpr int kColumns = kBackwardColumns<Math, kDim>;
  static constexpr int kRowBytes = kDim * Math::kBytes;
  static constexpr int kPitch = pitch_of(kRowBytes);

  static size_t bytes(int warps, size_t n_floats) {
    return static_cast<size_t>(16 * warps) * (kStages * 4 * kPitch + 2 * sizeof(float)) + n_floats * sizeof(float);
  }
  /// Keys, then values.
  __device__ unsigned char* keys(int ordinal) const { return memory + ordinal % kStages * 2 * block_rows * kPitch; }
  /// Queries, then d_out.
  __device__ unsigned char* queries(int stage) const { return memory + (kStages + stage) * 2 * block_rows * kPitch; }
  __device__ float* statistics() const { return reinterpret_cast<float*>(queries(kStages)); }

  unsigned char* memory;
  int block_rows;
};

/// Task of run_work_tiles, a tile a query head: a warp has 16 keys, and after them the same 16 queries.
template <class Math, int kDim>
class ShortTask {
 public:
  using Layout = ShortLayout<Math, kDim>;
  static constexpr int kColumns = Layout::kColumns;
  static constexpr int kPitch = Layout::kPitch;

  __device__ ShortTask(const Backward& call, unsigned char* memory)
      : call_(call), layout_{memory, call.schedule.block_rows} {}

  __device__ int n_tiles(const WorkTile&) const { return call_.group; }
  __device__ void load_work_tile(int ordinal, const WorkTile& work_tile) const {
    load_keys<Layout::kRowBytes, Math::kBytes>(layout_.keys(ordinal), kPitch, layout_.block_rows, call_.args.k,
                                               call_.args.v, call_.args.shape, work_tile, work_tile.head, 0,
                                               call_.rows);
  }
  __device__ void load_tile(int stage, const WorkTile& work_tile, int tile) const {
    load_queries<Layout::kRowBytes, Math::kBytes>(layout_.queries(stage), kPitch, layout_.block_rows, call_, work_tile,
                                                  work_tile.head * call_.group + tile, 0);
  }
  __device__ void arrived() const {}
  __device__ void begin() { keys_.begin(); }

  __device__ void work(const WorkTile& work_tile, int ordinal, int tile, int stage) {
    const int values = layout_.block_rows * kPitch;  // behind the keys, as d_out behind the queries
    const int own = 16 * warp() * kPitch;
    unsigned char* queries = layout_.queries(stage);
    const unsigned char* keys = layout_.keys(ordinal);
    float* statistics = layout_.statistics();
    TilePlace place = warp_place(work_tile, 0);
    place.head = work_tile.head * call_.group + tile;
    const bool has_rows = place.row < place.length;
    QueryRows<Math, kDim> rows;
    if (lane() < 16) statistics[place.row + lane()] = statistics[layout_.block_rows + place.row + lane()] = 0.0f;
    __syncwarp();
    rows.begin(call_, place, queries + values + own, kPitch, statistics + place.row, layout_.block_rows);
    __syncthreads();
    if (has_rows) {
      const bool causal = call_.args.shape.causal;
#pragma unroll 1
      for (place.column = causal ? place.row / kColumns * kColumns : 0; place.column < place.length;
           place.column += kColumns) {
        const unsigned char* tile_queries = queries + place.column * kPitch;
        keys_.work(call_, place, keys + own, keys + values + own, tile_queries, tile_queries + values, kPitch,
                   statistics + place.column, statistics + layout_.block_rows + place.column);
      }
      const int32_t end = causal ? min(place.row + 16, place.length) : place.length;
#pragma unroll 1
      for (place.column = 0; place.column < end; place.column += kColumns) {
        const unsigned char* tile_keys = keys + place.column * kPitch;
        rows.work(call_, place, queries + own, queries + values + own, tile_keys, tile_keys + values, kPitch,
                  statistics + 2 * layout_.block_rows);
      }
    }
    __syncthreads();  // nobody reads queries or, after the last head, keys any more
    if (!has_rows) return;
    const Shape& shape = call_.args.shape;
    write_result<Math, kDim>(call_.args.d_q, shape, place, rows.d_q, shape.scale, shape.scale, queries + own, kPitch,
                             call_.rows);
  }

  __device__ void finish(const WorkTile& work_tile, int ordinal) {
    const TilePlace place = warp_place(work_tile, 0);
    if (place.row >= place.length) return;
    const Shape& shape = call_.args.shape;
    unsigned char* own = layout_.keys(ordinal) + 16 * warp() * kPitch;
    write_result<Math, kDim>(call_.args.d_k, shape, place, keys_.d_k, shape.scale, shape.scale, own, kPitch,
                             call_.rows);
    write_result<Math, kDim>(call_.args.d_v, shape, place, keys_.d_v, 1.0f, 1.0f, own, kPitch, call_.rows);
  }

 private:
  const Backward& call_;
  Layout layout_;
  KeyRows<Math, kDim> keys_;
};

template <class Math, int kDim>
__global__ void __launch_bounds__(kMaxThreads, 1) short_gradient_kernel(Backward call) {
  SHEAF_DYNAMIC_SHARED(memory);
  ShortTask<Math, kDim> task(call, memory);
  run_work_tiles(task, call.schedule, call.args.shape);
}

template <class Math, int kDim>
__global__ void __launch_bounds__(kMaxThreads, kDim <= 32 ? 2 : 1) query_gradient_kernel(Backward call) {
  SHEAF_DYNAMIC_SHARED(memory);
  QueryTask<Math, kDim> task(call, memory);
  run_work_tiles(task, call.schedule, call.args.shape);
}

template <class Math, int kDim>
__global__ void __launch_bounds__(kMaxThreads, kDim <= 32 ? 2 : 1) key_gradient_kernel(Backward call) {
  SHEAF_DYNAMIC_SHARED(memory);
  KeyTask<Math, kDim> task(call, memory);
  run_work_tiles(task, call.schedule, call.args.shape);
}

// One thread a number of the bias; parts in ascending order.
__global__ void sum_parts_kernel(const float* parts, int64_t n_parts, MatrixView<float> sums) {
  const int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (e >= sums.size()) return;
  double sum = 0.0;
  for (int64_t part = 0; part < n_parts; ++part) sum += static_cast<double>(parts[part * sums.size() + e]);
  sums.data[e] = static_cast<float>(sum);
}

constexpr int64_t kMaxPartFloats = int64_t{16} << 20;
constexpr int kSumThreads = 128;

/// Launches a kernel that adds to the bias's gradient, if there is one.
void launch_with_bias(Context& context, ScratchScope& scratch, void (*kernel)(Backward), int warps, size_t shared_bytes,
                      Backward call) {
  const AttentionBackwardArgs& args = call.args;
  const int64_t n_bias = args.d_relative_bias.size();
  unsigned blocks = resident_blocks(context, kernel, warps * kWarp, shared_bytes);
  if (n_bias == 0) return launch(kernel, blocks, warps * kWarp, shared_bytes, context, call);
  blocks = static_cast<unsigned>(std::clamp<int64_t>(kMaxPartFloats / (warps * n_bias), 1, blocks));
  const int64_t n_parts = int64_t{blocks} * warps;
  call.bias_parts = scratch.take<float>(n_parts * n_bias);
  context.fill_bytes(call.bias_parts, 0, static_cast<size_t>(n_parts * n_bias) * sizeof(float));
  launch(kernel, blocks, warps * kWarp, shared_bytes, context, call);
  launch(sum_parts_kernel, blocks_for(n_bias, kSumThreads), kSumThreads, 0, context, call.bias_parts, n_parts,
         args.d_relative_bias);
}

/// Floats of a block for the bias's gradient.
size_t bias_floats(const Backward& call, int warps, int columns) {
  return call.args.d_relative_bias.empty()
             ? 0
             : static_cast<size_t>(warps) * static_cast<size_t>(bias_scratch_floats(columns));
}

template <class Math, int kDim>
void query_gradient(Context& context, ScratchScope& scratch, Backward call) {
  using Layout = BackwardLayout<Math, kDim>;
  const Shape& shape = call.args.shape;
  const auto bytes_of = [&](int warps) { return Layout::bytes(warps, bias_floats(call, warps, Layout::kColumns)); };
  const int warps = choose_warps(context, shape.max_length, bytes_of);
  call.schedule = make_schedule(context, scratch, shape, 16 * warps, call.args.q.n_heads, shape.causal);
  launch_with_bias(context, scratch, query_gradient_kernel<Math, kDim>, warps, bytes_of(warps), call);
}

/// False if a sequence is too long, or shared memory too small.
template <class Math, int kDim>
bool short_gradient(Context& context, ScratchScope& scratch, Backward call) {
  using Layout = ShortLayout<Math, kDim>;
  const Shape& shape = call.args.shape;
  const auto bytes_of = [&](int warps) { return Layout::bytes(warps, bias_floats(call, warps, Layout::kColumns)); };
  // Whole tiles of columns: what lies behind a block's rows may be NaN.
  const int warps =
      static_cast<int>((shape.max_length + Layout::kColumns - 1) / Layout::kColumns * Layout::kColumns / 16);
  if (warps * kWarp > kMaxThreads) return false;
  if (static_cast<int64_t>(bytes_of(warps)) > most_shared(context)) return false;
  call.schedule = make_schedule(context, scratch, shape, 16 * warps, call.args.k.n_heads, false);
  launch_with_bias(context, scratch, short_gradient_kernel<Math, kDim>, warps, bytes_of(warps), call);
  return true;
}

template <class Math, int kDim>
void key_gradient(Context& context, ScratchScope& scratch, Backward call) {
  using Layout = BackwardLayout<Math, kDim>;
  const AttentionBackwardArgs& args = call.args;
  const auto bytes_of = [](int warps) { return Layout::bytes(warps, size_t{kStages * 2 * Layout::kColumns}); };
  const int warps = choose_warps(context, args.shape.max_length, bytes_of);
  const auto kernel = key_gradient_kernel<Math, kDim>;
  call.schedule = make_schedule(context, scratch, args.shape, 16 * warps, args.k.n_heads, false);
  launch(kernel, resident_blocks(context, kernel, warps * kWarp, bytes_of(warps)), warps * kWarp, bytes_of(warps),
         context, call);
}

}  // namespace

void attention_backward(Context& context, const AttentionBackwardArgs& args) {
  if (args.shape.n_tokens == 0) {
    if (!args.d_relative_bias.empty()) {
      context.fill_bytes(args.d_relative_bias.data, 0,
                         static_cast<size_t>(args.d_relative_bias.size()) * sizeof(float));
    }
    return;
  }
  ScratchScope scratch(context);
  RowAlignment alignment(args.shape);
  alignment << args.q << args.k << args.v << args.out << args.d_out << args.d_q << args.d_k << args.d_v;
  const Backward call{.args = args,
                      .mask = DropoutMask(args.shape, args.q.n_heads),
                      .schedule = {},
                      .rows = alignment.shape(),
                      .group = static_cast<int32_t>(args.q.n_heads / args.k.n_heads),
                      .delta = scratch.take<float>(args.shape.n_tokens * args.q.n_heads),
                      .bias_parts = nullptr};
  if (gradients_by_wgmma(context, scratch, call)) return;
  for_math(args.shape, [&]<class Math, int kDim>() {
    // Up to 64 dimensions, the registers hold the sums of d_q, d_k and d_v together. Tiles of floats would leave too
    // little shared memory.
    if constexpr (Math::kBytes == 2 && kDim <= 64) {
      if (short_gradient<Math, kDim>(context, scratch, call)) return;
    }
    query_gradient<Math, kDim>(context, scratch, call);
    key_gradient<Math, kDim>(context, scratch, call);
  });
}

}  // namespace sheaf::attention::cuda
