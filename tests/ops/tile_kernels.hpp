#pragma once
/// Kernels that only the tests have: one warp multiplies one tile by the wrappers of kernels/core/cuda; and what
/// belongs to it.

#include <cstdint>

#include "kernels/core/context.hpp"

namespace sheaf::test {

enum class TileType { bf16, f16, tf32 };

/// d [16, 8] = a [16, k] b + c, where k is 16, for tf32 8. b is [k, 8], or [8, k] when `b_by_column` (always for tf32).
/// All are float on the device, and rounded to the type there.
void multiply_tile(Context& context, TileType type, bool b_by_column, const float* a, const float* b, const float* c,
                   float* d);

/// Where a warpgroup's operands are: a [64, 32] in registers and b [32, 64] in shared memory, by its columns or by its
/// rows; or both in shared memory by the rows of k.
enum class WarpgroupOperands { b_columns, b_rows, a_columns_b_rows };

/// d [64, 64] = a [64, 32] b + c by a warpgroup; 16-bit types. b is given as [64, 32] for b_columns, else as [32, 64].
/// False if the device does not have it.
bool multiply_by_warpgroup(Context& context, TileType type, WarpgroupOperands operands, const float* a, const float* b,
                           const float* c, float* d);

/// The registers [n_matrices, 32 lanes] that ldmatrix fills from matrices [n_matrices, 8, 8] of halves. n_matrices is
/// 1, 2 or 4.
void load_tiles(Context& context, bool transposed, int n_matrices, const uint32_t* matrices, uint32_t* registers);

/// The halves that n floats round to, n even.
void round_to_halves(Context& context, TileType type, const float* values, int n, uint16_t* halves);

/// out [n] of the sums of all rows of in [n_rows, n], through two tiles in shared memory; one of them is always being
/// copied. n <= 256 and a multiple of bytes / 4; each copy has `bytes` bytes (4, 8 or 16).
void sum_rows_by_copies(Context& context, int bytes, const float* in, int n_rows, int n, float* out);

/// A tensor [sizes[2], sizes[1], sizes[0]] of 16-bit elements, rows and planes `strides` bytes apart.
struct Tensor {
  const uint16_t* data;
  int64_t sizes[3], strides[2];
};

/// out [n_boxes, box_z, box_y, 64] of the boxes at elements (x, y, z), (x, y, z + box_z) and so on. Two are copied at a
/// time; zeros outside the tensor. False if the device does not have it.
bool copy_boxes(Context& context, const Tensor& tensor, int box_y, int box_z, int x, int y, int z, int n_boxes,
                uint16_t* out);

}  // namespace sheaf::test
