#include "tests/ops/tile_kernels.hpp"

#include "kernels/attention/forward.cuh"
#include "kernels/core/cuda/async_copy.cuh"
#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/mma.cuh"
#include "kernels/core/cuda/tensor_copy.cuh"
#include "kernels/core/cuda/wgmma.cuh"

namespace sheaf::test {
namespace {

constexpr int kWarpThreads = 32;

template <MmaType kType>
__global__ void multiply_halves_kernel(bool b_by_column, const float* a, const float* b, const float* c, float* d) {
  alignas(16) __shared__ uint32_t tile_a[16][8];  // [16, 16] halves
  alignas(16) __shared__ uint32_t tile_b[64];     // [16, 8] or [8, 16]
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 128; i += kWarpThreads) tile_a[i / 8][i % 8] = pack_halves<kType>(a[2 * i], a[2 * i + 1]);
  for (int i = lane; i < 64; i += kWarpThreads) tile_b[i] = pack_halves<kType>(b[2 * i], b[2 * i + 1]);
  __syncwarp();
  // Matrices of 8 x 8: rows 0 and 8 of the left half, then of the right.
  uint32_t of_a[4], of_b[2];
  load_matrices<false>(of_a, &tile_a[lane % 16][lane / 16 * 4]);
  if (b_by_column) {
    load_matrices<false>(of_b, &tile_b[lane % 8 * 8 + lane / 8 % 2 * 4]);
  } else {
    load_matrices<true>(of_b, &tile_b[lane % 16 * 4]);
  }
  const int row = lane / 4, column = lane % 4 * 2;
  const float of_c[4] = {c[row * 8 + column], c[row * 8 + column + 1], c[(row + 8) * 8 + column],
                         c[(row + 8) * 8 + column + 1]};
  float of_d[4];
  mma_m16n8k16<kType>(of_d, of_a, of_b, of_c);
  for (int i = 0; i < 4; ++i) d[(row + i / 2 * 8) * 8 + column + i % 2] = of_d[i];
}

__global__ void multiply_tf32_kernel(const float* a, const float* b, const float* c, float* d) {
  const int lane = static_cast<int>(threadIdx.x);
  const int g = lane / 4, t = lane % 4;
  const uint32_t of_a[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]),
                            to_tf32(a[(g + 8) * 8 + t + 4])};
  const uint32_t of_b[2] = {to_tf32(b[g * 8 + t]), to_tf32(b[g * 8 + t + 4])};
  float of_c[4], of_d[4];
  for (int i = 0; i < 4; ++i) of_c[i] = c[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  mma_m16n8k8_tf32(of_d, of_a, of_b, of_c);
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = of_d[i];
}

constexpr int kWarpgroupThreads = 128, kWarpgroupDepth = 32;

template <MmaType kType, WarpgroupOperands kOperands>
__global__ void warpgroup_kernel(const float* a, const float* b, const float* c, float* d) {
  SHEAF_DYNAMIC_SHARED(memory);
  unsigned char* tile = memory + (-shared_address(memory) & (kSwizzleAlignment - 1));
  unsigned char* tile_of_a = tile + kWarpgroupDepth * kSwizzledRowBytes;  // a row for each of a's columns
  const int thread = static_cast<int>(threadIdx.x);
  constexpr bool kRowsOfB = kOperands != WarpgroupOperands::b_columns;
  constexpr int kWidth = kRowsOfB ? 64 : kWarpgroupDepth;  // elements of a row of the tile that are used
  for (int i = thread; i < kWarpgroupDepth * 64 / 2; i += kWarpgroupThreads) {
    const int row = 2 * i / kWidth, column = 2 * i % kWidth;
    *reinterpret_cast<uint32_t*>(tile + swizzled(row, 2 * column)) = pack_halves<kType>(b[2 * i], b[2 * i + 1]);
  }
  if constexpr (kOperands == WarpgroupOperands::a_columns_b_rows) {
    for (int i = thread; i < kWarpgroupDepth * 32; i += kWarpgroupThreads) {
      const int k = i / 32, m = i % 32 * 2;
      *reinterpret_cast<uint32_t*>(tile_of_a + swizzled(k, 2 * m)) =
          pack_halves<kType>(a[m * kWarpgroupDepth + k], a[(m + 1) * kWarpgroupDepth + k]);
    }
  }
  fence_for_products();
  __syncthreads();
  const int row = thread / 32 * 16 + thread % 32 / 4, pair = thread % 4 * 2;
  uint32_t of_a[kWarpgroupDepth / 16][4];
  for (int k = 0; k < kWarpgroupDepth / 16; ++k) {
    for (int i = 0; i < 4; ++i) {
      const float* from = a + (row + i % 2 * 8) * kWarpgroupDepth + k * 16 + i / 2 * 8 + pair;
      of_a[k][i] = pack_halves<kType>(from[0], from[1]);
    }
  }
  const auto at = [&](int n, int e) { return (row + e / 2 * 8) * 64 + n * 8 + pair + e % 2; };
  float of_d[8][4];
  for (int n = 0; n < 8; ++n) {
    for (int e = 0; e < 4; ++e) of_d[n][e] = c[at(n, e)];
  }
  warpgroup_fence();
#pragma unroll
  for (int k = 0; k < kWarpgroupDepth / 16; ++k) {
    const unsigned char* from = kRowsOfB ? tile + k * 16 * kSwizzledRowBytes : tile + k * 32;
    if constexpr (kOperands == WarpgroupOperands::a_columns_b_rows) {
      warpgroup_multiply<kType>(of_d, swizzled_operand(tile_of_a + k * 16 * kSwizzledRowBytes), swizzled_operand(from),
                                true);
    } else {
      warpgroup_multiply<kType, kRowsOfB>(of_d, of_a[k], swizzled_operand(from), true);
    }
  }
  warpgroup_commit();
  warpgroup_wait<0>();
  for (int n = 0; n < 8; ++n) {
    for (int e = 0; e < 4; ++e) d[at(n, e)] = of_d[n][e];
  }
}

template <bool kTransposed, int kMatrices>
__global__ void load_matrices_kernel(const uint32_t* matrices, uint32_t* registers) {
  alignas(16) __shared__ uint32_t tile[kMatrices * 32];
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < kMatrices; ++i) tile[i * 32 + lane] = matrices[i * 32 + lane];
  __syncwarp();
  uint32_t mine[kMatrices];
  load_matrices<kTransposed>(mine, &tile[lane % (kMatrices * 8) * 4]);
  for (int i = 0; i < kMatrices; ++i) registers[i * 32 + lane] = mine[i];
}

template <MmaType kType>
__global__ void round_kernel(const float* values, int n, uint16_t* halves) {
  const int pair = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (2 * pair >= n) return;
  const uint32_t packed = pack_halves<kType>(values[2 * pair], values[2 * pair + 1]);
  halves[2 * pair] = static_cast<uint16_t>(packed);
  halves[2 * pair + 1] = static_cast<uint16_t>(packed >> 16);
}

template <int kBytes>
__global__ void sum_rows_kernel(const float* in, int n_rows, int n, float* out) {
  constexpr int kEach = kBytes / 4;
  alignas(16) __shared__ float tiles[2][256];
  const int i = static_cast<int>(threadIdx.x);
  const auto fetch = [&](int row) {
    const bool valid = row < n_rows;
    if (i * kEach < n) async_copy<kBytes>(&tiles[row % 2][i * kEach], valid ? in + row * n + i * kEach : in, valid);
    async_commit();
  };
  fetch(0);
  float sum = 0;
  for (int row = 0; row < n_rows; ++row) {
    fetch(row + 1);
    async_wait<1>();
    __syncthreads();
    if (i < n) sum += tiles[row % 2][i];
    __syncthreads();
  }
  async_wait<0>();
  __syncthreads();
  if (i < n) out[i] = sum + tiles[n_rows % 2][i];  // the row past the end: zeros
}

__global__ void copy_boxes_kernel(const __grid_constant__ TensorMap map, int n_rows, int box_z, int x, int y, int z,
                                  int n_boxes, uint16_t* out) {
  SHEAF_DYNAMIC_SHARED(memory);
  unsigned char* tiles = memory + (-shared_address(memory) & (kSwizzleAlignment - 1));
  __shared__ uint64_t barriers[2];
  const int tile_bytes = n_rows * kSwizzledRowBytes;
  const auto begin = [&](int box) {
    if (threadIdx.x > 0 || box >= n_boxes) return;
    barrier_expect(&barriers[box % 2], static_cast<uint32_t>(tile_bytes));
    tensor_copy(tiles + box % 2 * tile_bytes, map, x, y, z + box * box_z, &barriers[box % 2]);
  };
  if (threadIdx.x == 0) {
    barrier_init(&barriers[0]);
    barrier_init(&barriers[1]);
  }
  __syncthreads();
  begin(0);
  for (int box = 0; box < n_boxes; ++box) {
    begin(box + 1);
    barrier_wait(&barriers[box % 2], static_cast<uint32_t>(box / 2 % 2));
    for (int i = static_cast<int>(threadIdx.x); i < n_rows * 64; i += static_cast<int>(blockDim.x)) {
      out[box * n_rows * 64 + i] =
          *reinterpret_cast<const uint16_t*>(tiles + box % 2 * tile_bytes + swizzled(i / 64, i % 64 * 2));
    }
    __syncthreads();
  }
}

}  // namespace

bool copy_boxes(Context& context, const Tensor& tensor, int box_y, int box_z, int x, int y, int z, int n_boxes,
                uint16_t* out) {
  if (!attention::cuda::knows_warpgroups(context)) return false;
  const auto size = [&](int i) { return static_cast<uint64_t>(tensor.sizes[i]); };
  const TensorShape shape{{size(0), size(1), size(2)},
                          {static_cast<uint64_t>(tensor.strides[0]), static_cast<uint64_t>(tensor.strides[1])}};
  const TensorMap map = swizzled_map(tensor.data, shape, static_cast<uint32_t>(box_y), static_cast<uint32_t>(box_z));
  const int n_rows = box_y * box_z;
  const auto shared = static_cast<size_t>(kSwizzleAlignment + 2 * n_rows * kSwizzledRowBytes);
  launch(copy_boxes_kernel, 1, kWarpgroupThreads, shared, context, map, n_rows, box_z, x, y, z, n_boxes, out);
  return true;
}

void multiply_tile(Context& context, TileType type, bool b_by_column, const float* a, const float* b, const float* c,
                   float* d) {
  switch (type) {
    case TileType::bf16:
      return launch(multiply_halves_kernel<MmaType::bf16>, 1, kWarpThreads, 0, context, b_by_column, a, b, c, d);
    case TileType::f16:
      return launch(multiply_halves_kernel<MmaType::f16>, 1, kWarpThreads, 0, context, b_by_column, a, b, c, d);
    case TileType::tf32: return launch(multiply_tf32_kernel, 1, kWarpThreads, 0, context, a, b, c, d);
  }
}

bool multiply_by_warpgroup(Context& context, TileType type, WarpgroupOperands operands, const float* a, const float* b,
                           const float* c, float* d) {
  if (!attention::cuda::knows_warpgroups(context)) return false;
  constexpr size_t kShared = kSwizzleAlignment + 64 * kSwizzledRowBytes;
  const auto run = [&]<WarpgroupOperands kOperands>() {
    launch(
        type == TileType::bf16 ? warpgroup_kernel<MmaType::bf16, kOperands> : warpgroup_kernel<MmaType::f16, kOperands>,
        1, kWarpgroupThreads, kShared, context, a, b, c, d);
  };
  switch (operands) {
    case WarpgroupOperands::b_columns: run.template operator()<WarpgroupOperands::b_columns>(); break;
    case WarpgroupOperands::b_rows: run.template operator()<WarpgroupOperands::b_rows>(); break;
    case WarpgroupOperands::a_columns_b_rows: run.template operator()<WarpgroupOperands::a_columns_b_rows>(); break;
  }
  return true;
}

void load_tiles(Context& context, bool transposed, int n_matrices, const uint32_t* matrices, uint32_t* registers) {
  const auto run = [&](auto kernel) { launch(kernel, 1, kWarpThreads, 0, context, matrices, registers); };
  switch (n_matrices) {
    case 1: return run(transposed ? load_matrices_kernel<true, 1> : load_matrices_kernel<false, 1>);
    case 2: return run(transposed ? load_matrices_kernel<true, 2> : load_matrices_kernel<false, 2>);
    default: return run(transposed ? load_matrices_kernel<true, 4> : load_matrices_kernel<false, 4>);
  }
}

void round_to_halves(Context& context, TileType type, const float* values, int n, uint16_t* halves) {
  const unsigned n_blocks = blocks_for(n / 2, kWarpThreads);
  if (type == TileType::bf16) {
    launch(round_kernel<MmaType::bf16>, n_blocks, kWarpThreads, 0, context, values, n, halves);
  } else {
    launch(round_kernel<MmaType::f16>, n_blocks, kWarpThreads, 0, context, values, n, halves);
  }
}

void sum_rows_by_copies(Context& context, int bytes, const float* in, int n_rows, int n, float* out) {
  if (bytes == 4) return launch(sum_rows_kernel<4>, 1, 256, 0, context, in, n_rows, n, out);
  if (bytes == 8) return launch(sum_rows_kernel<8>, 1, 256, 0, context, in, n_rows, n, out);
  launch(sum_rows_kernel<16>, 1, 256, 0, context, in, n_rows, n, out);
}

}  // namespace sheaf::test
