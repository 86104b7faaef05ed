#include "kernels/attention/attention.hpp"
#include "kernels/attention/launch_shape.cuh"
#include "kernels/attention/tile_gradients.cuh"
#include "kernels/core/cuda/wgmma.cuh"

namespace sheaf::attention::cuda {
namespace {

constexpr int kDim = 64;   // in shared memory
constexpr int kTile = 64;  // queries a tile, and keys of a warpgroup
constexpr int kWarpgroups = 2;
constexpr int kBlockKeys = kWarpgroups * kTile;
constexpr int kTileBytes = kTile * kSwizzledRowBytes;
constexpr int kKeyBytes = kBlockKeys * kSwizzledRowBytes;  // of keys, of values
constexpr int kSumBytes = kTile * kDim * 4;                // of d_q of a tile
constexpr int kPitch = pitch_of(kSwizzledRowBytes);
static_assert(kDim * 2 == kSwizzledRowBytes);

struct SwizzledRows {
  __device__ int operator()(int row, int byte) const { return swizzled(row, byte); }
};

/// Keys and values of two blocks of keys; queries, d_out and statistics of kStages tiles; sums of d_q, a place a tile.
struct Layout {
  static size_t bytes(int64_t n_places) {
    return static_cast<size_t>(kSwizzleAlignment + 2 * 2 * kKeyBytes + kStages * 2 * kTileBytes +
                               kStages * 2 * kTile * 4 + n_places * kSumBytes);
  }
  __device__ unsigned char* keys(int block) const { return memory + block % 2 * 2 * kKeyBytes; }
  /// Their place is d_x's once they are in registers: a key a row, a query a column. Both are the same warp's 16 rows.
  __device__ unsigned char* values(int block) const { return keys(block) + kKeyBytes; }
  __device__ unsigned char* queries(int stage) const { return memory + 4 * kKeyBytes + stage * 2 * kTileBytes; }
  __device__ unsigned char* d_out(int stage) const { return queries(stage) + kTileBytes; }
  /// log_sum_exp, then delta.
  __device__ float* statistics(int stage) const {
    return reinterpret_cast<float*>(queries(kStages)) + stage * 2 * kTile;
  }
  /// Until there are sums, the tile's rows of out.
  __device__ unsigned char* sums(int place) const {
    return reinterpret_cast<unsigned char*>(statistics(kStages)) + place * kSumBytes;
  }

  unsigned char* memory;
};

/// A block of keys against a tile of queries.
struct Step {
  int32_t block, tile;
};

/// Task of run_work_tiles: all gradients of a whole sequence and head; everything is read once. A warpgroup has 64 keys
/// of a block of 128. Their d_k and d_v stay in its registers while the tiles of queries pass. d_x goes to shared
/// memory. From there one of the warpgroups, by turns, computes the tile's d_q and adds it to the sums, block by block.
template <MmaType kType>
class SequenceTask {
 public:
  using Math = HalfMath<kType>;

  __device__ SequenceTask(const Backward& call, int n_places, unsigned char* memory)
      : call_(call),
        shape_(call.args.shape),
        n_places_(n_places),
        warpgroup_(__shfl_sync(kFullMask, warp() / 4, 0)),
        layout_{memory + (-shared_address(memory) & (kSwizzleAlignment - 1))} {}

  __device__ int n_tiles(const WorkTile& work_tile) const {
    const int32_t blocks = blocks_of(work_tile);
    return blocks * tiles_of(work_tile) - (shape_.causal ? kWarpgroups * blocks * (blocks - 1) / 2 : 0);
  }
  __device__ void load_work_tile(int, const WorkTile&) const {}

  __device__ void load_tile(int stage, const WorkTile& work_tile, int number) {
    if (number == 0) {
      load_ = {0, 0};
      load_place_ = next_load_place_;
      next_load_place_ = (load_place_ + tiles_of(work_tile)) % n_places_;
    }
    const AttentionBackwardArgs& args = call_.args;
    const auto rows_of = [&](unsigned char* to, const Heads<const void>& heads) {
      load_rows<kSwizzledRowBytes>(to, SwizzledRows{}, kTile,
                                   row_source(heads, shape_, work_tile, work_tile.head, load_.tile * kTile, 2),
                                   call_.rows);
    };
    if (load_.tile == first_tile(load_.block)) {
      load_keys<kSwizzledRowBytes, 2>(layout_.keys(n_loaded_), layout_.values(n_loaded_), SwizzledRows{}, kBlockKeys,
                                      args.k, args.v, shape_, work_tile, work_tile.head, load_.block * kBlockKeys,
                                      call_.rows);
      ++n_loaded_;
    }
    rows_of(layout_.queries(stage), args.q);
    rows_of(layout_.d_out(stage), args.d_out);
    if (load_.block == 0) rows_of(layout_.sums((load_place_ + load_.tile) % n_places_), args.out);
    const auto row = static_cast<int32_t>(threadIdx.x);
    if (row < kTile) {
      const bool valid = load_.tile * kTile + row < work_tile.length;
      const int64_t at = valid ? statistics_index(work_tile, load_.tile * kTile + row) : 0;
      float* statistics = layout_.statistics(stage) + row;
      async_copy<4>(statistics, args.log_sum_exp.data + at, valid);
      if (load_.block > 0 && !follows_its_delta(work_tile, load_))
        async_copy<4>(statistics + kTile, call_.delta + at, valid);
    }
    advance(load_, work_tile);
  }
  __device__ void arrived() const { fence_for_products(); }
  __device__ void begin() {}

  __device__ void work(const WorkTile& work_tile, int, int number, int stage) {
    if (number == 0) {
      at_ = {0, 0};
      place_ = next_place_;
      next_place_ = (place_ + tiles_of(work_tile)) % n_places_;
    }
    const bool opens = at_.tile == first_tile(at_.block), closes = at_.tile + 1 == tiles_of(work_tile);
    if (opens) begin_block();
    if (at_.block == 0) sum_delta(work_tile, stage);
    if (at_.block == 0) __syncthreads();  // delta is there
    if (sees(work_tile, warpgroup_)) add_key_gradients(work_tile, stage);
    __syncthreads();  // d_x is there
    if (warpgroup_ == at_.tile % kWarpgroups) add_query_gradient(work_tile);
    if (closes) finish_block(work_tile);
    advance(at_, work_tile);
  }

  __device__ void finish(const WorkTile&, int) const {}

 private:
  __device__ static int32_t tiles_of(const WorkTile& work_tile) { return (work_tile.length + kTile - 1) / kTile; }
  __device__ static int32_t blocks_of(const WorkTile& work_tile) {
    return (work_tile.length + kBlockKeys - 1) / kBlockKeys;
  }
  /// The first tile of queries that see a key of the block.
  __device__ int32_t first_tile(int32_t block) const { return shape_.causal ? block * kWarpgroups : 0; }
  __device__ void advance(Step& step, const WorkTile& work_tile) const {
    if (++step.tile < tiles_of(work_tile)) return;
    ++step.block;
    step.tile = first_tile(step.block);
  }
  /// Whether the step before has the same queries, whose delta it sums: too late to be read from memory.
  __device__ bool follows_its_delta(const WorkTile& work_tile, const Step& step) const {
    return step.block == 1 && step.tile == first_tile(1) && step.tile + 1 == tiles_of(work_tile);
  }
  __device__ int64_t statistics_index(const WorkTile& work_tile, int32_t row) const {
    return (work_tile.first + row) * call_.args.q.n_heads + work_tile.head;
  }
  /// Whether any query of the tile sees a key of the warpgroup.
  __device__ bool sees(const WorkTile& work_tile, int warpgroup) const {
    const int32_t first_key = at_.block * kBlockKeys + warpgroup * kTile;
    return first_key < work_tile.length && !(shape_.causal && first_key >= (at_.tile + 1) * kTile);
  }
  /// The warp's keys against the tile's queries.
  __device__ TilePlace key_place(const WorkTile& work_tile) const {
    return {work_tile.first, work_tile.length, work_tile.sequence, work_tile.head, at_.block * kBlockKeys + 16 * warp(),
            at_.tile * kTile};
  }

  __device__ void begin_block() {
    clear(d_k_);
    clear(d_v_);
    load_rows_of_a(values_, layout_.values(n_worked_));
    __syncwarp();  // before any lane stores d_x there
  }

  /// The warp's 16 rows of the block.
  __device__ static void load_rows_of_a(uint32_t (&a)[kDim / 16][4], const unsigned char* tile) {
    const int row = 16 * warp() + lane() % 16;
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) load_matrices<false>(a[k], tile + swizzled(row, k * 32 + lane() / 16 * 16));
  }

  /// Four threads a query.
  __device__ void sum_delta(const WorkTile& work_tile, int stage) const {
    const int row = static_cast<int>(threadIdx.x) / 4, part = static_cast<int>(threadIdx.x) % 4;
    const unsigned char* out = layout_.sums((place_ + at_.tile) % n_places_);
    float sum = 0.0f;
#pragma unroll
    for (int byte = 32 * part; byte < 32 * part + 32; byte += 16) {
      const uint4 a = *reinterpret_cast<const uint4*>(out + swizzled(row, byte));
      const uint4 b = *reinterpret_cast<const uint4*>(layout_.d_out(stage) + swizzled(row, byte));
      sum += dot(a.x, b.x) + dot(a.y, b.y) + (dot(a.z, b.z) + dot(a.w, b.w));
    }
    sum += __shfl_xor_sync(kFullMask, sum, 1);
    sum += __shfl_xor_sync(kFullMask, sum, 2);
    if (part != 0) return;
    layout_.statistics(stage)[kTile + row] = sum;
    const Step next{1, at_.tile};
    if (blocks_of(work_tile) > 1 && follows_its_delta(work_tile, next))
      layout_.statistics((stage + 1) % kStages)[kTile + row] = sum;
    const int32_t query = at_.tile * kTile + row;
    if (query < work_tile.length) call_.delta[statistics_index(work_tile, query)] = sum;
  }
  __device__ static float dot(uint32_t a, uint32_t b) {
    return unpack_half<kType>(a, false) * unpack_half<kType>(b, false) +
           unpack_half<kType>(a, true) * unpack_half<kType>(b, true);
  }

  /// Adds to d_k and d_v what the tile's queries give, and stores d_x.
  __device__ void add_key_gradients(const WorkTile& work_tile, int stage) {
    uint32_t keys[kDim / 16][4];
    load_rows_of_a(keys, layout_.keys(n_worked_));
    float x[kTile / 8][4], d[kTile / 8][4];
    warpgroup_fence();
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      warpgroup_multiply<kType, false>(x, keys[k], swizzled_operand(layout_.queries(stage) + k * 32), k > 0);
    }
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      warpgroup_multiply<kType, false>(d, values_[k], swizzled_operand(layout_.d_out(stage) + k * 32), k > 0);
    }
    warpgroup_commit();
    warpgroup_wait<0>();
    const TilePlace place = key_place(work_tile);
    finish_scores<true>(shape_, place, x);
    const float* statistics = layout_.statistics(stage);
    weigh_keys(call_, place, x, d, statistics, statistics + kTile);
    typename Math::A weights[kTile / 16], d_x[kTile / 16];
    unsigned char* to = layout_.values(n_worked_);
    const int row = 16 * warp() + quad_row();
#pragma unroll
    for (int k = 0; k < kTile / 16; ++k) {
      weights[k] = Math::from_result(&x[2 * k]);
      d_x[k] = Math::from_result(&d[2 * k]);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int byte = k * 32 + i / 2 * 16 + quad_column() * 4;
        *reinterpret_cast<uint32_t*>(to + swizzled(row + i % 2 * 8, byte)) = d_x[k].r[i];
      }
    }
    fence_for_products();
    warpgroup_fence();
#pragma unroll
    for (int k = 0; k < kTile / 16; ++k) {
      const int rows = k * 16 * kSwizzledRowBytes;
      warpgroup_multiply<kType, true>(d_v_, weights[k].r, swizzled_operand(layout_.d_out(stage) + rows), true);
    }
#pragma unroll
    for (int k = 0; k < kTile / 16; ++k) {
      const int rows = k * 16 * kSwizzledRowBytes;
      warpgroup_multiply<kType, true>(d_k_, d_x[k].r, swizzled_operand(layout_.queries(stage) + rows), true);
    }
    warpgroup_commit();
    warpgroup_wait<0>();
  }

  /// d_q = d_x by keys, those of the first kSeen warpgroups.
  template <int kSeen>
  __device__ void multiply_query_gradient(float (&d_q)[kDim / 8][4]) const {
    warpgroup_fence();
#pragma unroll
    for (int k = 0; k < kSeen * kTile / 16; ++k) {
      const int rows = k * 16 * kSwizzledRowBytes;
      warpgroup_multiply<kType>(d_q, swizzled_operand(layout_.values(n_worked_) + rows),
                                swizzled_operand(layout_.keys(n_worked_) + rows), k > 0);
    }
    warpgroup_commit();
    warpgroup_wait<0>();
  }

  /// One warpgroup computes d_q of the tile from the block's keys. It goes to the sums of earlier blocks, or to memory
  /// if no later block follows.
  __device__ void add_query_gradient(const WorkTile& work_tile) {
    float d_q[kDim / 8][4];
    if (sees(work_tile, 1)) {
      multiply_query_gradient<2>(d_q);
    } else {
      multiply_query_gradient<1>(d_q);
    }
    const int own = warp() % 4;  // 16 queries of the tile
    unsigned char* place = layout_.sums((place_ + at_.tile) % n_places_) + own * (kSumBytes / 4);
    auto* sums = reinterpret_cast<float4*>(place) + lane();
    if (at_.block > 0) {
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        const float4 before = sums[n * kWarp];
        d_q[n][0] += before.x;
        d_q[n][1] += before.y;
        d_q[n][2] += before.z;
        d_q[n][3] += before.w;
      }
    }
    const int32_t last_block = shape_.causal ? at_.tile / kWarpgroups : blocks_of(work_tile) - 1;
    if (at_.block < last_block) {
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) sums[n * kWarp] = make_float4(d_q[n][0], d_q[n][1], d_q[n][2], d_q[n][3]);
      return;
    }
    const TilePlace rows{
        work_tile.first, work_tile.length, work_tile.sequence, work_tile.head, at_.tile * kTile + 16 * own, 0};
    if (rows.row >= rows.length) return;
    write_result<Math, kDim>(call_.args.d_q, shape_, rows, d_q, shape_.scale, shape_.scale, place, kPitch, call_.rows);
  }

  __device__ void finish_block(const WorkTile& work_tile) {
    const TilePlace rows = key_place(work_tile);
    __syncthreads();  // nobody reads keys or d_x any more: all warps' rows pass through their places
    if (rows.row < rows.length) {
      unsigned char* own = layout_.keys(n_worked_) + 16 * warp() * kPitch;
      write_result<Math, kDim>(call_.args.d_k, shape_, rows, d_k_, shape_.scale, shape_.scale, own, kPitch, call_.rows);
      write_result<Math, kDim>(call_.args.d_v, shape_, rows, d_v_, 1.0f, 1.0f, own, kPitch, call_.rows);
    }
    ++n_worked_;
  }

  const Backward& call_;
  const Shape& shape_;
  const int n_places_;
  const int warpgroup_;  // shuffled, so that the compiler sees it is one for all lanes
  const Layout layout_;
  // What is loaded next, and what is worked on; blocks are counted over all work tiles, places of sums go round.
  Step load_{}, at_{};
  int n_loaded_ = 0, n_worked_ = 0;
  int load_place_ = 0, next_load_place_ = 0, place_ = 0, next_place_ = 0;
  uint32_t values_[kDim / 16][4];  // of the warp
  float d_k_[kDim / 8][4], d_v_[kDim / 8][4];
};

template <MmaType kType>
__global__ void __launch_bounds__(kMaxThreads, 1) wgmma_gradient_kernel(Backward call, int n_places) {
  SHEAF_DYNAMIC_SHARED(memory);
  SequenceTask<kType> task(call, n_places, memory);
  run_work_tiles(task, call.schedule, call.args.shape);
}

}  // namespace

bool gradients_by_wgmma(Context& context, ScratchScope& scratch, Backward call) {
  const AttentionBackwardArgs& args = call.args;
  const Shape& shape = args.shape;
  if (args.products != Products::warpgroups || shape.element == Element::f32 || !knows_warpgroups(context))
    return false;
  if (shape.dim > kDim || call.group != 1 || !args.d_relative_bias.empty()) return false;
  // The next work tile's first tile is loaded beside this one's last.
  const int64_t n_places = std::max<int64_t>((shape.max_length + kTile - 1) / kTile, 2);
  const size_t bytes = Layout::bytes(n_places);
  if (static_cast<int64_t>(bytes) > most_shared(context)) return false;
  call.schedule = make_schedule(context, scratch, shape, static_cast<int>(n_places) * kTile, args.k.n_heads, false);
  const auto kernel =
      shape.element == Element::bf16 ? wgmma_gradient_kernel<MmaType::bf16> : wgmma_gradient_kernel<MmaType::f16>;
  launch(kernel, resident_blocks(context, kernel, kMaxThreads, bytes), kMaxThreads, bytes, context, call,
         static_cast<int>(n_places));
  return true;
}

}  // namespace sheaf::attention::cuda
