#pragma once
/// The inner loops of the CPU's full_softmax. There is one implementation for each instruction set, chosen when the
/// program runs. Those with fused multiply-adds (AVX2, AVX-512) have the same bits.

#include <cstdint>

#include "kernels/core/tile_product.hpp"

namespace sheaf::loss::cpu {

constexpr int64_t kSumLanes = 16;  // a row of exponentials is summed in so many floats, whatever the width of a vector

/// Scores without biases of some users against a tile of items; x[r, j] at [r * stride + j].
struct SoftmaxRows {
  float* x;  // [n_rows, n_items]
  int64_t stride;
  int64_t n_rows;
  const float* bias;  // [n_items], -infinity where there is no item
  int64_t n_items;    // a multiple of kSumLanes
};

struct SoftmaxTile {
  const char* name;
  int64_t width;  // floats a vector, a divisor of kSumLanes
  int64_t rows;   // of a product, a divisor of kSumLanes
  /// Packs n rows of dim floats, `stride` apart, into panels (core/tile_product.hpp), with zeros after the last row.
  void (*pack)(const float* rows, int64_t stride, int64_t n, int64_t dim, float* panels);
  void (*multiply)(const TileProduct& product);
  /// x = exp(x + bias - largest), where `largest` [n_rows] goes in as the largest so far and comes out with this
  /// tile; totals [n_rows] are the sums of this tile's exponentials. Where all is -infinity, so is the largest, and the
  /// exponentials are 0.
  void (*exponentials)(const SoftmaxRows& rows, float* largest, float* totals);
  /// x = factor * exp(x + bias - largest)
  void (*probabilities)(const SoftmaxRows& rows, const float* largest, const float* factor);
  /// sums[j] += x[r * stride + j] for j < n_items, a multiple of kSumLanes, row after row.
  void (*add_rows)(const float* x, int64_t stride, int64_t n_rows, int64_t n_items, float* sums);
};

/// The fastest one that this machine can run, or the one that SHEAF_SOFTMAX=portable|avx2|avx512 names (for tests and
/// measurements).
const SoftmaxTile& softmax_tile();
/// All that this machine can run, the fastest first.
int32_t usable_softmax_tiles(const SoftmaxTile** tiles, int32_t capacity);

extern const SoftmaxTile kPortableSoftmax;
#if defined(__x86_64__)
extern const SoftmaxTile kAvx2Softmax, kAvx512Softmax;
#endif

}  // namespace sheaf::loss::cpu
