#pragma once
/// The inner loops of the CPU's attention. There is one implementation for each instruction set, chosen when the
/// program runs. Sums are in float, by fused multiply-adds where the set has them. Their order depends only on the set
/// and on the shapes.
/// Panels are those of kernels/core/tile_product.hpp.

#include <cstdint>

#include "kernels/core/tile_product.hpp"

namespace sheaf::attention::cpu {

using Product = TileProduct;

/// One row of scores against a chunk of keys. The row sees n of them; zeros follow up to n_filled.
struct ForwardRow {
  float* x;             // [n_filled, rounded up to width] scores in, exp(x - largest) out
  const float* bias;    // [n] to add, or null
  const float* hidden;  // [n] 0 or -infinity, to add, or null
  int64_t n, n_filled;
  float largest, total;  // in: of the chunks before; out: with this one
};

struct BackwardRow {
  float* x;             // [n_filled, rounded up] scores in, kept probabilities out
  float* d;             // [n_filled, rounded up] d_out . v in, d_x out
  const float* bias;    // [n] or null
  const float* hidden;  // [n] or null
  const float* keep;    // [n] 0 or 1 / kept, or null
  float* d_bias;        // [n] where d_x is added, or null
  int64_t n, n_filled;
  float log_sum_exp, delta;
};

struct TileKernel {
  const char* name;
  int64_t width;  // floats a vector
  int64_t rows;   // of a product
  /// Packs n rows of dim floats, `stride` apart, into panels, with zeros after the last row.
  void (*pack)(const float* rows, int64_t stride, int64_t n, int64_t dim, float* panels);
  void (*multiply)(const Product& product);
  void (*forward_row)(ForwardRow& row);
  void (*backward_row)(const BackwardRow& row);
};

/// The fastest one that this machine can run, or the one that SHEAF_ATTENTION=portable|avx2|avx512 names (for tests and
/// measurements).
const TileKernel& tile_kernel();
/// All that this machine can run, the fastest first.
int32_t usable_tile_kernels(const TileKernel** kernels, int32_t capacity);

extern const TileKernel kPortableTile;
#if defined(__x86_64__)
extern const TileKernel kAvx2Tile, kAvx512Tile;
#endif

}  // namespace sheaf::attention::cpu
