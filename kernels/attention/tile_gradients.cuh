#pragma once
/// The gradients' work of one warp on one tile, for query rows (d_q) and for key rows (d_k, d_v).

#include "kernels/attention/tile_pairs.cuh"

namespace sheaf::attention::cuda {

struct Backward {
  AttentionBackwardArgs args;
  DropoutMask mask;
  Schedule schedule;
  RowShape rows;
  int32_t group;      // query heads of a key head
  float* delta;       // [n_tokens, n_heads] d_out . out
  float* bias_parts;  // [gridDim.x, warps, n_heads, columns] gradients of the bias by warp, or null
};

/// Columns a tile: two results of 16 x kColumns beside the sums of two matrices.
template <class Math, int kDim>
constexpr int kBackwardColumns = kDim* Math::kBytes <= 256 ? 32 : 16;

/// log2(e) log_sum_exp; +infinity where nothing is seen, so that 2^(x - it) is 0.
__device__ inline float to_shift(float log_sum_exp) {
  return log_sum_exp == -INFINITY ? INFINITY : log_sum_exp * kLog2E;
}

/// Floats that add_bias_gradient needs of each warp.
constexpr int bias_scratch_floats(int columns) { return 16 * (columns + 1) + columns + 16; }

/// Sums d_x of a warp's tile by i - j, then into the warp's own part of the gradient: in a fixed order.
template <int kColumns>
__device__ void add_bias_gradient(const float (&d_x)[kColumns / 8][4], const TilePlace& place, int64_t n_bias,
                                  float* scratch, float* part) {
  constexpr int kPitch = kColumns + 1, kDiagonals = kColumns + 15;
  float* diagonals = scratch + 16 * kPitch;
#pragma unroll
  for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      scratch[(quad_row() + e / 2 * 8) * kPitch + n * 8 + 2 * quad_column() + e % 2] = d_x[n][e];
    }
  }
  __syncwarp();
  const auto radius = static_cast<int32_t>(n_bias / 2);
  const int32_t first = place.row - place.column - (kColumns - 1);  // i - j of diagonal 0
  for (int d = lane(); d < kDiagonals; d += kWarp) {
    float sum = 0.0f;
    for (int r = max(0, d - (kColumns - 1)); r <= min(15, d); ++r) sum += scratch[r * kPitch + r - d + kColumns - 1];
    diagonals[d] = sum;
    if (first + d > -radius && first + d < radius) part[first + d + radius] += sum;
  }
  __syncwarp();
  if (lane() < 2) {
    float sum = 0.0f;
    for (int d = 0; d < kDiagonals; ++d) {
      const bool low = first + d <= -radius || radius == 0;
      const bool high = first + d >= radius && radius > 0;
      if (lane() == 0 ? low : high) sum += diagonals[d];
    }
    if (lane() == 0 || radius > 0) part[lane() == 0 ? 0 : 2 * radius] += sum;
  }
  __syncwarp();
}

/// d_q of 16 query rows of a warp.
template <class Math, int kDim>
class QueryRows {
 public:
  static constexpr int kColumns = kBackwardColumns<Math, kDim>;

  /// `d_out` holds the warp's rows. All lanes call it together. If `statistics` [2, pitch] is given, log_sum_exp and
  /// delta of the rows also go there, for KeyRows.
  __device__ void begin(const Backward& call, const TilePlace& place, const unsigned char* d_out, int pitch,
                        float* statistics = nullptr, int statistics_pitch = 0) {
    clear(d_q);
    const Shape& shape = call.args.shape;
    const Heads<const void>& out = call.args.out;
    const int32_t n_rows = place.length - place.row;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      shift_[half] = INFINITY;
      delta_[half] = 0.0f;
      for (int r = 8 * half; r < 8 * half + 8 && r < n_rows; ++r) {
        const int64_t token = place.first + place.row + r;
        const auto* row =
            static_cast<const unsigned char*>(out.data) + (token * out.stride + place.head * shape.dim) * Math::kBytes;
        float sum = 0.0f;
        for (int c = lane(); c < shape.dim; c += kWarp) {
          sum += Math::load(row + c * Math::kBytes) * Math::load(d_out + r * pitch + c * Math::kBytes);
        }
        sum = warp_sum(sum);
        if (quad_row() + 8 * half == r) {
          delta_[half] = sum;
          shift_[half] = to_shift(call.args.log_sum_exp(token, place.head));
        }
        if (lane() != 0) continue;
        if (statistics == nullptr) {
          call.delta[token * call.args.q.n_heads + place.head] = sum;
        } else {
          statistics[r] = call.args.log_sum_exp(token, place.head);
          statistics[statistics_pitch + r] = sum;
        }
      }
    }
  }

  /// The warp's rows of q and d_out against keys from place.column on and their values.
  __device__ void work(const Backward& call, const TilePlace& place, const unsigned char* queries,
                       const unsigned char* d_out, const unsigned char* keys, const unsigned char* values, int pitch,
                       float* scratch) {
    float x[kColumns / 8][4], d[kColumns / 8][4];
    multiply_rows<Math, kDim, kColumns>(x, queries, 0, keys, pitch);
    finish_scores<false>(call.args.shape, place, x);
    multiply_rows<Math, kDim, kColumns>(d, d_out, 0, values, pitch);
    uint32_t bytes[kColumns / 8];
    if (call.mask.active()) draw_bytes<false>(call.mask, place, bytes);
#pragma unroll
    for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        if (call.mask.active()) d[n][e] *= keep_factor(call.mask, bytes[n], e);
        d[n][e] = exp2_fast(x[n][e] - shift_[e / 2]) * (d[n][e] - delta_[e / 2]);
      }
    }
    if (call.bias_parts != nullptr) {
      const int64_t n_bias = call.args.d_relative_bias.cols;
      const int64_t n_warps = blockDim.x / kWarp;
      float* part = call.bias_parts + ((blockIdx.x * n_warps + warp()) * call.args.q.n_heads + place.head) * n_bias;
      add_bias_gradient<kColumns>(d, place, n_bias, scratch + warp() * bias_scratch_floats(kColumns), part);
    }
    multiply_columns<Math, kDim, kColumns>(d_q, d, keys, pitch);
  }

  float d_q[kDim / 8][4];

 private:
  float shift_[2], delta_[2];  // of rows g and g + 8
};

/// For key rows: turns scores into the dropped weights P', and products d_out . v into d_x. log_sum_exp and delta
/// belong to the columns.
template <int kParts>
__device__ void weigh_keys(const Backward& call, const TilePlace& place, float (&x)[kParts][4], float (&d)[kParts][4],
                           const float* log_sum_exp, const float* delta) {
  uint32_t bytes[kParts];
  if (call.mask.active()) draw_bytes<true>(call.mask, place, bytes);
#pragma unroll
  for (int n = 0; n < kParts; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int column = n * 8 + 2 * quad_column() + e % 2;
      const float keep = call.mask.active() ? keep_factor(call.mask, bytes[n], e) : 1.0f;
      const float p = exp2_fast(x[n][e] - to_shift(log_sum_exp[column]));
      x[n][e] = p * keep;
      d[n][e] = p * (d[n][e] * keep - delta[column]);
    }
  }
}

/// d_k and d_v of 16 keys of a warp.
template <class Math, int kDim>
class KeyRows {
 public:
  static constexpr int kColumns = kBackwardColumns<Math, kDim>;

  __device__ void begin() {
    clear(d_k);
    clear(d_v);
  }

  /// The warp's keys and values against the queries from place.column on, with their d_out, log_sum_exp and delta.
  __device__ void work(const Backward& call, const TilePlace& place, const unsigned char* keys,
                       const unsigned char* values, const unsigned char* queries, const unsigned char* d_out, int pitch,
                       const float* log_sum_exp, const float* delta) {
    float x[kColumns / 8][4], d[kColumns / 8][4];
    multiply_rows<Math, kDim, kColumns>(x, keys, 0, queries, pitch);
    finish_scores<true>(call.args.shape, place, x);
    multiply_rows<Math, kDim, kColumns>(d, values, 0, d_out, pitch);
    weigh_keys(call, place, x, d, log_sum_exp, delta);
    multiply_columns<Math, kDim, kColumns>(d_v, x, d_out, pitch);
    multiply_columns<Math, kDim, kColumns>(d_k, d, queries, pitch);
  }

  float d_k[kDim / 8][4], d_v[kDim / 8][4];
};

/// Begins to copy log_sum_exp and delta of n_rows queries from `first` on, zeros behind the last.
__device__ inline void load_statistics(float* to, int n_rows, const Backward& call, const WorkTile& work_tile,
                                       int32_t head, int32_t first) {
  const int64_t n_heads = call.args.q.n_heads;
  for (int i = static_cast<int>(threadIdx.x); i < n_rows; i += static_cast<int>(blockDim.x)) {
    const bool valid = first + i < work_tile.length;
    const int64_t at = valid ? (work_tile.first + first + i) * n_heads + head : 0;
    async_copy<4>(to + i, call.args.log_sum_exp.data + at, valid);
    async_copy<4>(to + n_rows + i, call.delta + at, valid);
  }
}

/// Begins to copy n_rows queries from `first` on and then as many rows of d_out.
template <int kRowBytes, int kElementBytes>
__device__ void load_queries(unsigned char* tile, int pitch, int n_rows, const Backward& call,
                             const WorkTile& work_tile, int32_t head, int32_t first) {
  const AttentionBackwardArgs& args = call.args;
  load_rows<kRowBytes>(tile, PitchedRows{pitch}, n_rows,
                       row_source(args.q, args.shape, work_tile, head, first, kElementBytes), call.rows);
  load_rows<kRowBytes>(tile + n_rows * pitch, PitchedRows{pitch}, n_rows,
                       row_source(args.d_out, args.shape, work_tile, head, first, kElementBytes), call.rows);
}

/// Computes all gradients by wgmma in one kernel. False if the caller does not ask for it, if the device does not have
/// it, or if the call does not fit. It fits with 16-bit elements, dim at most 64, as many key heads as query heads, no
/// bias, and sequences whose sums of d_q fit in shared memory (512 tokens in 227 KiB).
bool gradients_by_wgmma(Context& context, ScratchScope& scratch, Backward call);

}  // namespace sheaf::attention::cuda
