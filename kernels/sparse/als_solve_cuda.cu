#include <algorithm>
#include <limits>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/sparse/als_solve.hpp"

namespace sheaf::sparse::cuda {
namespace {

constexpr int kAlsSide = 16;  // threads along each side of a tile
constexpr int kAlsBlock = kAlsSide * kAlsSide;
constexpr int kAlsOwn = 4;  // a thread's sums along each side
constexpr int kAlsTile = kAlsSide * kAlsOwn;
constexpr int kAlsDepth = 16;                     // terms of the sums in shared memory at a time
constexpr int kAlsRows = 16;                      // rows that a block multiplies by L^-1
constexpr int kAlsGroups = kAlsBlock / kAlsTile;  // that share the entries of a right side
constexpr int64_t kAlsShared =
    64 << 10;  // bytes of the largest system in shared memory; larger ones are in global memory
constexpr int64_t kAlsLargeBlocks = 512;  // that have a system in global memory

struct Step {
  AlsSolveArgs args;
  double* inverse;  // [dim, dim] L^-1, zeros above the diagonal
  float* whitened;  // [n_columns, dim] L^-1 y
  float* systems;   // one of each block, where they are in global memory
  int64_t system_size;
};

// L^-1 of gram + l2 I by one block: forward elimination in place. At pivot p, columns below p hold the inverse of L
// with a unit diagonal, the others what is left of the matrix.
__global__ void __launch_bounds__(kAlsBlock) als_factor_kernel(Step step) {
  const int64_t dim = step.args.items.cols;
  double* t = step.inverse;
  for (int64_t at = threadIdx.x; at < dim * dim; at += kAlsBlock) {
    t[at] = step.args.gram.data[at] + (at / dim == at % dim ? step.args.l2 : 0.0);
  }
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  for (int64_t p = 0; p < dim; ++p) {
    __syncthreads();
    const double* pivots = t + p * dim;
    const double pivot = pivots[p];
    if (!(pivot > 0.0 && pivot < std::numeric_limits<double>::infinity())) {
      if (threadIdx.x == 0) step.args.failed[0] = static_cast<int32_t>(1 + p);
      return;
    }
    for (int64_t r = p + 1 + warp; r < dim; r += kAlsBlock / kWarp) {
      const double scale = pivots[r] / pivot;
      for (int64_t c = lane; c < dim; c += kWarp) {
        t[r * dim + c] = c == p ? -scale : t[r * dim + c] - scale * pivots[c];
      }
    }
  }
  __syncthreads();
  for (int64_t r = warp; r < dim; r += kAlsBlock / kWarp) {
    const double scale = 1.0 / sqrt(t[r * dim + r]);
    __syncwarp();
    for (int64_t c = lane; c < dim; c += kWarp) {
      t[r * dim + c] = c < r ? t[r * dim + c] * scale : (c == r ? scale : 0.0);
    }
  }
}

// out = in C^T (kWhitens), or in C; a block kAlsRows rows. `out` may be `in`.
template <bool kWhitens>
__global__ void __launch_bounds__(kAlsBlock)
    als_transform_kernel(Step step, const float* in, int64_t n_rows, float* out) {
  __shared__ float rows[kAlsRows * kAlsMostDim];
  if (step.args.failed[0] != 0) return;
  const int64_t dim = step.args.items.cols, first = static_cast<int64_t>(blockIdx.x) * kAlsRows;
  const int64_t size = (n_rows - first < kAlsRows ? n_rows - first : kAlsRows) * dim;
  for (int64_t at = threadIdx.x; at < size; at += kAlsBlock) rows[at] = in[first * dim + at];
  __syncthreads();
  for (int64_t at = threadIdx.x; at < size; at += kAlsBlock) {
    const int64_t j = at % dim;
    const float* row = rows + (at - j);
    double sum = 0.0;
    if (kWhitens) {
      for (int64_t k = 0; k <= j; ++k) sum += static_cast<double>(row[k]) * step.inverse[j * dim + k];
    } else {
      for (int64_t k = j; k < dim; ++k) sum += static_cast<double>(row[k]) * step.inverse[k * dim + j];
    }
    out[first * dim + at] = static_cast<float>(sum);
  }
}

// The entries of one row.
struct AlsRow {
  const Step& step;
  int64_t begin, n;

  __device__ float d(int64_t e) const {
    const CsrView& rows = step.args.rows;
    return step.args.alpha * (rows.values ? rows.values[begin + e] : 1.0f);
  }
  __device__ float h(int64_t e) const {
    const VectorView<const float>& targets = step.args.targets;
    return (targets.empty() ? 1.0f : targets[begin + e]) * ((1.0f + d(e)) / sqrtf(d(e)));
  }
  __device__ float v(int64_t e, int64_t k) const {
    return sqrtf(d(e)) * step.whitened[step.args.rows.columns[begin + e] * step.args.items.cols + k];
  }
};

__device__ inline float& lower(float* a, int64_t r, int64_t c) { return a[r * (r + 1) / 2 + c]; }

// I + V V^T (kByEntries) or I + V^T V to the lower half `a`, m rows packed.
template <bool kByEntries>
__device__ __forceinline__ void make_system(const AlsRow& row, int64_t dim, float* a, float (*left)[kAlsTile],
                                            float (*right)[kAlsTile]) {
  const int64_t m = kByEntries ? row.n : dim, n_terms = kByEntries ? dim : row.n;
  const int tx = static_cast<int>(threadIdx.x) % kAlsSide, ty = static_cast<int>(threadIdx.x) / kAlsSide;
  for (int64_t first_row = 0; first_row < m; first_row += kAlsTile) {
    for (int64_t first_column = 0; first_column <= first_row; first_column += kAlsTile) {
      float sums[kAlsOwn][kAlsOwn] = {};
      for (int64_t term = 0; term < n_terms; term += kAlsDepth) {
#pragma unroll
        for (int part = 0; part < kAlsDepth * kAlsTile / kAlsBlock; ++part) {
          // Neighbours in memory are components.
          const int at = static_cast<int>(threadIdx.x) + part * kAlsBlock;
          const int depth = kByEntries ? at % kAlsDepth : at / kAlsTile,
                    i = kByEntries ? at / kAlsDepth : at % kAlsTile;
          const auto element = [&](int64_t x) {
            if (x >= m || term + depth >= n_terms) return 0.0f;
            return kByEntries ? row.v(x, term + depth) : row.v(term + depth, x);
          };
          left[depth][i] = element(first_row + i);
          right[depth][i] = element(first_column + i);
        }
        __syncthreads();
#pragma unroll 4
        for (int depth = 0; depth < kAlsDepth; ++depth) {
#pragma unroll
          for (int i = 0; i < kAlsOwn; ++i) {
            const float x = left[depth][ty + i * kAlsSide];
#pragma unroll
            for (int j = 0; j < kAlsOwn; ++j) sums[i][j] += x * right[depth][tx + j * kAlsSide];
          }
        }
        __syncthreads();
      }
#pragma unroll
      for (int i = 0; i < kAlsOwn; ++i) {
#pragma unroll
        for (int j = 0; j < kAlsOwn; ++j) {
          const int64_t r = first_row + ty + i * kAlsSide, c = first_column + tx + j * kAlsSide;
          if (r < m && c <= r) lower(a, r, c) = (r == c ? 1.0f : 0.0f) + sums[i][j];
        }
      }
    }
  }
}

// The right side V^T h as row dim of `a`; groups of threads take every kAlsGroups-th entry.
__device__ __forceinline__ void make_right_side(const AlsRow& row, int64_t dim, float* a, float (*partial)[kAlsTile]) {
  const int x = static_cast<int>(threadIdx.x) % kAlsTile, group = static_cast<int>(threadIdx.x) / kAlsTile;
  for (int64_t first = 0; first < dim; first += kAlsTile) {
    float sum = 0.0f;
    if (first + x < dim) {
      for (int64_t e = group; e < row.n; e += kAlsGroups) sum += row.h(e) * row.v(e, first + x);
    }
    partial[group][x] = sum;
    __syncthreads();
    if (group == 0 && first + x < dim) {
      float total = partial[0][x];
      for (int g = 1; g < kAlsGroups; ++g) total += partial[g][x];
      lower(a, dim, first + x) = total;
    }
    __syncthreads();
  }
}

// Cholesky of the m rows, with the right side as row m that becomes that of the second triangular system; then that
// system.
__device__ __forceinline__ void solve_system(float* a, int64_t m, float* inverse_pivots, float* solution) {
  const int tx = static_cast<int>(threadIdx.x) % kAlsSide, ty = static_cast<int>(threadIdx.x) / kAlsSide;
  for (int64_t p = 0; p < m; ++p) {
    __syncthreads();
    const float inverse = 1.0f / sqrtf(lower(a, p, p));
    if (threadIdx.x == 0) inverse_pivots[p] = inverse;
    for (int64_t r = p + 1 + threadIdx.x; r <= m; r += kAlsBlock) lower(a, r, p) *= inverse;
    __syncthreads();
    for (int64_t r = p + 1 + ty; r <= m; r += kAlsSide) {
      const float scale = lower(a, r, p);
      for (int64_t c = p + 1 + tx; c <= r && c < m; c += kAlsSide) lower(a, r, c) -= scale * lower(a, c, p);
    }
  }
  for (int64_t p = m - 1; p >= 0; --p) {
    __syncthreads();
    const float value = lower(a, m, p) * inverse_pivots[p];
    if (threadIdx.x == 0) solution[p] = value;
    for (int64_t c = threadIdx.x; c < p; c += kAlsBlock) lower(a, m, c) -= lower(a, p, c) * value;
  }
  __syncthreads();
}

// z of every row, a block a row at a time.
template <bool kInShared>
__global__ void __launch_bounds__(kAlsBlock) als_row_kernel(Step step) {
  SHEAF_DYNAMIC_SHARED(dynamic);
  __shared__ float left[kAlsDepth][kAlsTile];
  __shared__ float right[kAlsDepth][kAlsTile];
  __shared__ float inverse_pivots[kAlsMostDim];
  __shared__ float solution[kAlsMostDim];
  if (step.args.failed[0] != 0) return;
  float* a = kInShared ? reinterpret_cast<float*>(dynamic) : step.systems + blockIdx.x * step.system_size;
  const CsrView& rows = step.args.rows;
  const int64_t dim = step.args.items.cols;
  for (int64_t r = blockIdx.x; r < rows.n_rows; r += gridDim.x) {
    const AlsRow row{step, rows.row_offsets[r], rows.row_size(r)};
    float* z = step.args.out.row(r);
    if (row.n == 0) {
      for (int64_t k = threadIdx.x; k < dim; k += kAlsBlock) z[k] = 0.0f;
      continue;
    }
    const bool by_entries = row.n < dim;
    if (by_entries) {
      make_system<true>(row, dim, a, left, right);
      for (int64_t e = threadIdx.x; e < row.n; e += kAlsBlock) lower(a, row.n, e) = row.h(e);
    } else {
      make_system<false>(row, dim, a, left, right);
      make_right_side(row, dim, a, left);
    }
    solve_system(a, by_entries ? row.n : dim, inverse_pivots, solution);
    for (int64_t k = threadIdx.x; k < dim; k += kAlsBlock) {
      float sum = 0.0f;
      if (by_entries) {
        for (int64_t e = 0; e < row.n; ++e) sum += solution[e] * row.v(e, k);
      } else {
        sum = solution[k];
      }
      z[k] = sum;
    }
    __syncthreads();  // the next row's system
  }
}

}  // namespace

void als_solve(Context& context, const AlsSolveArgs& args) {
  const int64_t dim = args.items.cols, n_columns = args.items.rows, n_rows = args.rows.n_rows;
  const int64_t system_size = (dim + 1) * (dim + 2) / 2, bytes = system_size * static_cast<int64_t>(sizeof(float));
  const bool in_shared = bytes <= kAlsShared;
  const int64_t n_blocks = in_shared ? n_rows : std::min(n_rows, kAlsLargeBlocks);
  ScratchScope scratch(context);
  const Step step{.args = args,
                  .inverse = scratch.take<double>(dim * dim),
                  .whitened = scratch.take<float>(n_columns * dim),
                  .systems = scratch.take<float>(in_shared ? 1 : n_blocks * system_size),
                  .system_size = system_size};
  launch(als_factor_kernel, 1, kAlsBlock, 0, context, step);
  if (n_columns > 0) {
    launch(als_transform_kernel<true>, blocks_for(n_columns, kAlsRows), kAlsBlock, 0, context, step, args.items.data,
           n_columns, step.whitened);
  }
  if (in_shared) {
    launch(als_row_kernel<true>, blocks_for(n_blocks, 1), kAlsBlock, static_cast<size_t>(bytes), context, step);
  } else {
    launch(als_row_kernel<false>, blocks_for(n_blocks, 1), kAlsBlock, 0, context, step);
  }
  launch(als_transform_kernel<false>, blocks_for(n_rows, kAlsRows), kAlsBlock, 0, context, step, args.out.data, n_rows,
         args.out.data);
}

}  // namespace sheaf::sparse::cuda
