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
  int32_t group;  // query heads of a key head
};

/// Keys a tile, and those of them that a warp works on at a time: their scores take kPartColumns / 2 registers.
template <class Math, int kDim>
constexpr int kForwardColumns = kDim* Math::kBytes <= 128   ? 64
                                : kDim* Math::kBytes == 256 ? 32
                                                            : 16;
template <class Math, int kDim>
constexpr int kPartColumns = kForwardColumns<Math, kDim> < 32 ? kForwardColumns<Math, kDim> : 32;

/// Queries of kStages units, then kStages tiles of keys and values.
template <class Math, int kDim>
constexpr size_t forward_bytes(int warps) {
  constexpr int kPitch = pitch_of(kDim * Math::kBytes);
  return static_cast<size_t>(kStages * kPitch) * static_cast<size_t>(16 * warps + 2 * kForwardColumns<Math, kDim>);
}

/// Task of run_units: a warp has 16 query rows, and all warps meet the same keys, a tile at a time, by online softmax (Milakov and
/// Gimelshein, 2018; Dao et al., 2022).
template <class Math, int kDim>
class ForwardTask {
 public:
  static constexpr int kColumns = kForwardColumns<Math, kDim>;
  static constexpr int kPart = kPartColumns<Math, kDim>;
  static constexpr int kRowBytes = kDim * Math::kBytes;
  static constexpr int kPitch = pitch_of(kRowBytes);

  __device__ ForwardTask(const Forward& call, unsigned char* memory)
      : call_(call), shape_(call.args.shape), memory_(memory) {}

  __device__ int n_tiles(const Unit& unit) const {
    const int32_t end = unit.row + call_.schedule.block_rows;
    const int32_t n_keys = shape_.causal && end < unit.length ? end : unit.length;
    return (n_keys + kColumns - 1) / kColumns;
  }

  __device__ void load_unit(int ordinal, const Unit& unit) const {
    load_rows<kRowBytes>(query_tile(ordinal), kPitch, call_.schedule.block_rows,
                         row_source(call_.args.q, shape_, unit, unit.head, unit.row, Math::kBytes), call_.rows);
  }

  __device__ void load_tile(int stage, const Unit& unit, int tile) const {
    const int32_t kv_head = unit.head / call_.group;
    load_keys<kRowBytes, Math::kBytes>(key_tile(stage), kPitch, kColumns, call_.args.k, call_.args.v, shape_, unit,
                                       kv_head, tile * kColumns, call_.rows);
  }

  __device__ void begin() {
    clear(sums_);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      largest_[half] = -INFINITY;
      totals_[half] = 0.0f;
    }
  }

  __device__ void work(const Unit& unit, int ordinal, int tile, int stage) {
    TilePlace place = warp_place(unit, tile * kColumns);
    if (place.row >= place.length) return;
    const unsigned char* keys = key_tile(stage);
#pragma unroll 1
    for (int part = 0; part < kColumns; part += kPart) {
      place.column = tile * kColumns + part;
      if (place.column >= place.length || (shape_.causal && place.column > place.row + 15)) return;
      float x[kPart / 8][4];
      multiply_rows<Math, kDim, kPart>(x, warp_queries(ordinal), 0, keys + part * kPitch, kPitch);
      finish_scores<false>(shape_, place, x);
      take_probabilities(x);
      if (call_.mask.active()) drop(place, x);
      multiply_columns<Math, kDim, kPart>(sums_, x, keys + (kColumns + part) * kPitch, kPitch);
    }
  }

  __device__ void finish(const Unit& unit, int ordinal) {
    const TilePlace place = warp_place(unit, 0);
    const int32_t n_rows = place.length - place.row;
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
        call_.args.log_sum_exp(place.first + place.row + row, place.head) =
            total == 0.0f ? -INFINITY : largest_[half] * kLn2 + logf(total);
      }
    }
    // The warp's queries have served; only this warp reads their place.
    write_result<Math, kDim>(call_.args.out, shape_, place, sums_, inverse[0], inverse[1], warp_queries(ordinal),
                             kPitch, call_.rows);
  }

 private:
  __device__ unsigned char* query_tile(int ordinal) const {
    return memory_ + ordinal % kStages * call_.schedule.block_rows * kPitch;
  }
  __device__ unsigned char* warp_queries(int ordinal) const { return query_tile(ordinal) + 16 * warp() * kPitch; }
  __device__ unsigned char* key_tile(int stage) const {
    return memory_ + (kStages * call_.schedule.block_rows + stage * 2 * kColumns) * kPitch;
  }

  /// Scores into 2^(x - largest), with sums and totals put on the same scale.
  __device__ void take_probabilities(float (&x)[kPart / 8][4]) {
    float shift[2], factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = largest_[half];
#pragma unroll
      for (int n = 0; n < kPart / 8; ++n) most = fmaxf(most, fmaxf(x[n][2 * half], x[n][2 * half + 1]));
      most = fmaxf(most, __shfl_xor_sync(kFullMask, most, 1));
      most = fmaxf(most, __shfl_xor_sync(kFullMask, most, 2));
      // While nothing is seen, 2^(-infinity - 0) = 0.
      shift[half] = most == -INFINITY ? 0.0f : most;
      factor[half] = exp2_fast(largest_[half] - shift[half]);
      largest_[half] = most;
      totals_[half] *= factor[half];
    }
#pragma unroll
    for (int n = 0; n < kPart / 8; ++n) {
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

  __device__ void drop(const TilePlace& place, float (&x)[kPart / 8][4]) {
    uint32_t bytes[kPart / 8];
    draw_bytes<false>(call_.mask, place, bytes);
#pragma unroll
    for (int n = 0; n < kPart / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) x[n][e] *= keep_factor(call_.mask, bytes[n], e);
    }
  }

  const Forward& call_;
  const Shape& shape_;
  unsigned char* memory_;
  float sums_[kDim / 8][4];
  float largest_[2], totals_[2];  // of rows g and g + 8; totals of this lane's columns
};

template <class Math, int kDim>
__global__ void __launch_bounds__(kMaxThreads, kDim <= 64 ? 2 : 1) attention_kernel(Forward call) {
  SHEAF_DYNAMIC_SHARED(memory);
  ForwardTask<Math, kDim> task(call, memory);
  run_units(task, call.schedule, call.args.shape);
}

}  // namespace

void attention(Context& context, const AttentionArgs& args) {
  ScratchScope scratch(context);
  for_math(args.shape, [&]<class Math, int kDim>() {
    const int warps = choose_warps(context, args.shape.max_length, forward_bytes<Math, kDim>);
    const size_t shared = forward_bytes<Math, kDim>(warps);
    RowAlignment alignment(args.shape);
    alignment << args.q << args.k << args.v << args.out;
    const Forward call{
        .args = args,
        .mask = DropoutMask(args.shape, args.q.n_heads),
        .schedule = make_schedule(context, scratch, args.shape, 16 * warps, args.q.n_heads, args.shape.causal),
        .rows = alignment.shape(),
        .group = static_cast<int32_t>(args.q.n_heads / args.k.n_heads)};
    const auto kernel = attention_kernel<Math, kDim>;
    launch(kernel, resident_blocks(context, kernel, warps * kWarp, shared), warps * kWarp, shared, context, call);
  });
}

}  // namespace sheaf::attention::cuda
