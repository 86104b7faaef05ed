#pragma once
/// What the forward kernels share: their call, and the sums of a warp's 16 query rows under online softmax (Milakov and
/// Gimelshein, 2018; Dao et al., 2022).

#include "kernels/attention/attention.hpp"
#include "kernels/attention/launch_shape.cuh"
#include "kernels/attention/tile_pairs.cuh"

namespace sheaf::attention::cuda {

struct Forward {
  AttentionArgs args;
  DropoutMask mask;
  Schedule schedule;
  RowShape rows;
  int32_t group;  // query heads of a key head
};

inline Forward forward_call(Context& context, ScratchScope& scratch, const AttentionArgs& args, int warps) {
  RowAlignment alignment(args.shape);
  alignment << args.q << args.k << args.v << args.out;
  return {.args = args,
          .mask = DropoutMask(args.shape, args.q.n_heads),
          .schedule = make_schedule(context, scratch, args.shape, 16 * warps, args.q.n_heads, args.shape.causal),
          .rows = alignment.shape(),
          .group = static_cast<int32_t>(args.q.n_heads / args.k.n_heads)};
}

template <int kDim>
struct ForwardRows {
  float sums[kDim / 8][4];
  float largest[2], totals[2];  // of rows g and g + 8; totals of this lane's columns

  __device__ void begin() {
    clear(sums);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      largest[half] = -INFINITY;
      totals[half] = 0.0f;
    }
  }

  /// Scores into 2^(x - largest), with sums and totals put on the same scale.
  template <int kParts>
  __device__ void take(float (&x)[kParts][4]) {
    float shift[2], factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = largest[half];
#pragma unroll
      for (int n = 0; n < kParts; ++n) most = fmaxf(most, fmaxf(x[n][2 * half], x[n][2 * half + 1]));
      most = fmaxf(most, __shfl_xor_sync(kFullMask, most, 1));
      most = fmaxf(most, __shfl_xor_sync(kFullMask, most, 2));
      // While nothing is seen, 2^(-infinity - 0) = 0.
      shift[half] = most == -INFINITY ? 0.0f : most;
      factor[half] = exp2_fast(largest[half] - shift[half]);
      largest[half] = most;
      totals[half] *= factor[half];
    }
#pragma unroll
    for (int n = 0; n < kParts; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        x[n][e] = exp2_fast(x[n][e] - shift[e / 2]);
        totals[e / 2] += x[n][e];
      }
    }
    if (factor[0] == 1.0f && factor[1] == 1.0f) return;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[n][e] *= factor[e / 2];
    }
  }

  /// The place's rows to memory, by way of the warp's own `tile`.
  template <class Math>
  __device__ void finish(const Forward& call, const TilePlace& place, unsigned char* tile, int pitch) {
    const int32_t n_rows = place.length - place.row;
    if (n_rows <= 0) return;
    float inverse[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = totals[half];
      total += __shfl_xor_sync(kFullMask, total, 1);
      total += __shfl_xor_sync(kFullMask, total, 2);
      inverse[half] = total == 0.0f ? 0.0f : 1.0f / total;
      const int row = quad_row() + 8 * half;
      if (quad_column() == 0 && row < n_rows) {
        call.args.log_sum_exp(place.first + place.row + row, place.head) =
            total == 0.0f ? -INFINITY : largest[half] * kLn2 + logf(total);
      }
    }
    write_result<Math, kDim>(call.args.out, call.args.shape, place, sums, inverse[0], inverse[1], tile, pitch,
                             call.rows);
  }
};

/// What dropout leaves of a warp's weights.
template <int kParts>
__device__ void drop(const DropoutMask& mask, const TilePlace& place, float (&x)[kParts][4]) {
  uint32_t bytes[kParts];
  draw_bytes<false>(mask, place, bytes);
#pragma unroll
  for (int n = 0; n < kParts; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) x[n][e] *= keep_factor(mask, bytes[n], e);
  }
}

/// Whether the call's products are those of warpgroups: asked for, of 16-bit elements, and known.
bool takes_warpgroups(const Context& context, const AttentionArgs& args);
void attention_by_wgmma(Context& context, const AttentionArgs& args);

}  // namespace sheaf::attention::cuda
