#include "kernels/attention/attention.hpp"
#include "kernels/attention/launch_shape.cuh"
#include "kernels/attention/tile_pairs.cuh"

namespace sheaf::attention::cuda {
namespace {

struct Forward {
  AttentionArgs args;
  DropoutMask mask;
  Schedule schedule;
  RowShape rows;
};

/// Keys a tile: scores of 16 x kColumns take kColumns / 2 registers, a stage two tiles.
template <class Math, int kDim>
constexpr int kForwardColumns = kDim* Math::kBytes <= 128   ? 64
                                : kDim* Math::kBytes == 256 ? 32
                                                            : 16;

/// Queries of kStages units, then kStages tiles of keys and values.
template <class Math, int kDim>
constexpr size_t forward_bytes(int warps) {
  constexpr int kPitch = pitch_of(kDim * Math::kBytes);
  return static_cast<size_t>(kStages * kPitch) * static_cast<size_t>(16 * warps + 2 * kForwardColumns<Math, kDim>);
}

/// A block's units: a warp has 16 query rows, and all warps meet the same keys, a tile at a time, by online softmax (Milakov and
/// Gimelshein, 2018; Dao et al., 2022). The next tile is under way meanwhile, be it of this unit or of the next one.
template <class Math, int kDim>
class ForwardBlock {
 public:
  static constexpr int kColumns = kForwardColumns<Math, kDim>;
  static constexpr int kRowBytes = kDim * Math::kBytes;
  static constexpr int kPitch = pitch_of(kRowBytes);

  __device__ ForwardBlock(const Forward& call, unsigned char* memory)
      : call_(call), shape_(call.args.shape), memory_(memory), ahead_(call.schedule, shape_) {}

  __device__ void run() {
    for (int s = 0; s + 1 < kStages; ++s) issue(s);
    int stage = 0;
    for (Walk walk(call_.schedule, shape_); !walk.done(); walk.next()) {
      begin(walk);
      const int n_tiles = tiles_of(walk.unit());
      for (int tile = 0; tile < n_tiles; ++tile) {
        async_wait<kStages - 2>();
        __syncthreads();
        issue((stage + kStages - 1) % kStages);
        work(tile * kColumns, key_tile(stage));
        stage = (stage + 1) % kStages;
      }
      finish();
    }
  }

 private:
  static __device__ int warp() { return static_cast<int>(threadIdx.x) / kWarp; }
  __device__ unsigned char* query_tile(int ordinal) const {
    return memory_ + ordinal % kStages * call_.schedule.block_rows * kPitch;
  }
  __device__ unsigned char* key_tile(int stage) const {
    return memory_ + (kStages * call_.schedule.block_rows + stage * 2 * kColumns) * kPitch;
  }
  __device__ int tiles_of(const Unit& unit) const {
    const int64_t end = unit.row + call_.schedule.block_rows;
    const int64_t n_keys = shape_.causal && end < unit.span.length ? end : unit.span.length;
    return static_cast<int>((n_keys + kColumns - 1) / kColumns);
  }

  /// Begins to copy the next tile, if there is one; always a group, so that waits count the same.
  __device__ void issue(int stage) {
    if (!ahead_.done()) {
      const Unit& unit = ahead_.unit();
      const AttentionArgs& args = call_.args;
      const int64_t first = int64_t{ahead_tile_} * kColumns;
      if (ahead_tile_ == 0) {
        load_rows<kRowBytes>(query_tile(ahead_.ordinal()), kPitch, call_.schedule.block_rows,
                             row_source(args.q, shape_, unit, unit.head, unit.row, Math::kBytes), call_.rows);
      }
      const int64_t kv_head = unit.head / (args.q.n_heads / args.k.n_heads);
      RowSource keys = row_source(args.k, shape_, unit, kv_head, first, Math::kBytes);
      RowSource values = row_source(args.v, shape_, unit, kv_head, first, Math::kBytes);
      if (!shape_.key_keep.empty()) keys.keep = values.keep = shape_.key_keep.data + unit.span.first + first;
      load_rows<kRowBytes>(key_tile(stage), kPitch, kColumns, keys, call_.rows);
      load_rows<kRowBytes>(key_tile(stage) + kColumns * kPitch, kPitch, kColumns, values, call_.rows);
      if (++ahead_tile_ == tiles_of(unit)) {
        ahead_.next();
        ahead_tile_ = 0;
      }
    }
    async_commit();
  }

  __device__ void begin(const Walk& walk) {
    const Unit& unit = walk.unit();
    queries_ = query_tile(walk.ordinal()) + 16 * warp() * kPitch;
    place_ = {unit.sequence, unit.head, unit.span, unit.row + 16 * warp(), 0};
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums_[n][e] = 0.0f;
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      largest_[half] = -INFINITY;
      totals_[half] = 0.0f;
    }
  }

  __device__ void work(int column, const unsigned char* keys) {
    place_.column = column;
    if (place_.row >= place_.span.length || (shape_.causal && column > place_.row + 15)) return;
    float x[kColumns / 8][4];
    multiply_rows<Math, kDim, kColumns>(x, queries_, 0, keys, kPitch);
    finish_scores<false>(shape_, place_, x);
    take_probabilities(x);
    if (call_.mask.active()) drop(x);
    multiply_columns<Math, kDim, kColumns>(sums_, x, keys + kColumns * kPitch, kPitch);
  }

  /// Scores into 2^(x - largest), with sums and totals put on the same scale.
  __device__ void take_probabilities(float (&x)[kColumns / 8][4]) {
    float shift[2], factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = largest_[half];
#pragma unroll
      for (int n = 0; n < kColumns / 8; ++n) most = fmaxf(most, fmaxf(x[n][2 * half], x[n][2 * half + 1]));
      most = fmaxf(most, __shfl_xor_sync(kFullMask, most, 1));
      most = fmaxf(most, __shfl_xor_sync(kFullMask, most, 2));
      // While nothing is seen, 2^(-infinity - 0) = 0.
      shift[half] = most == -INFINITY ? 0.0f : most;
      factor[half] = exp2_fast(largest_[half] - shift[half]);
      largest_[half] = most;
      totals_[half] *= factor[half];
    }
#pragma unroll
    for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        x[n][e] = exp2_fast(x[n][e] - shift[e / 2]);
        totals_[e / 2] += x[n][e];
      }
    }
    if (factor[0] == 1.0f && factor[1] == 1.0f) return;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums_[n][e] *= factor[e / 2];
    }
  }

  __device__ void drop(float (&x)[kColumns / 8][4]) {
    uint32_t bytes[kColumns / 8];
    draw_bytes<false>(call_.mask, place_, bytes);
#pragma unroll
    for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) x[n][e] *= keep_factor(call_.mask, bytes[n], e);
    }
  }

  __device__ void finish() {
    const int64_t n_rows = place_.span.length - place_.row;
    if (n_rows <= 0) return;
    float inverse[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = totals_[half];
      total += __shfl_xor_sync(kFullMask, total, 1);
      total += __shfl_xor_sync(kFullMask, total, 2);
      inverse[half] = total == 0.0f ? 0.0f : 1.0f / total;
      const int row = quad_row() + 8 * half;
      if (quad_column() == 0 && row < n_rows) {
        call_.args.log_sum_exp(place_.span.first + place_.row + row, place_.head) =
            total == 0.0f ? -INFINITY : largest_[half] * kLn2 + logf(total);
      }
    }
    // The warp's queries have served; only this warp reads their place.
    __syncwarp();
    store_result<Math, kDim>(queries_, kPitch, sums_, inverse[0], inverse[1]);
    __syncwarp();
    const Heads<void>& out = call_.args.out;
    const int64_t at = (place_.span.first + place_.row) * out.stride + place_.head * shape_.dim;
    store_rows(static_cast<unsigned char*>(out.data) + at * Math::kBytes, out.stride * Math::kBytes, queries_, kPitch,
               n_rows < 16 ? static_cast<int>(n_rows) : 16, call_.rows);
  }

  const Forward& call_;
  const Shape& shape_;
  unsigned char* memory_;
  Walk ahead_;  // whose tiles are copied
  int ahead_tile_ = 0;
  unsigned char* queries_ = nullptr;  // of the warp
  TilePlace place_{};
  float sums_[kDim / 8][4];
  float largest_[2], totals_[2];  // of rows g and g + 8; totals of this lane's columns
};

template <class Math, int kDim>
__global__ void __launch_bounds__(kMaxThreads, 1) attention_kernel(Forward call) {
  SHEAF_DYNAMIC_SHARED(memory);
  ForwardBlock<Math, kDim>(call, memory).run();
}

}  // namespace

void attention(Context& context, const AttentionArgs& args) {
  ScratchScope scratch(context);
  for_math(args.shape, [&]<class Math, int kDim>() {
    const int warps = choose_warps(context, args.shape.max_length, forward_bytes<Math, kDim>);
    const size_t shared = forward_bytes<Math, kDim>(warps);
    RowAlignment alignment(args.shape);
    alignment << args.q << args.k << args.v << args.out;
    const Forward call{args, DropoutMask(args.shape, args.q.n_heads),
                       make_schedule(context, scratch, args.shape, 16 * warps, args.q.n_heads, args.shape.causal),
                       alignment.shape()};
    const auto kernel = attention_kernel<Math, kDim>;
    launch(kernel, resident_blocks(context, kernel, warps * kWarp, shared), warps * kWarp, shared, context, call);
  });
}

}  // namespace sheaf::attention::cuda
