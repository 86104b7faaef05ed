#include <algorithm>
#include <cmath>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/dense/spd_inverse.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kPivots = 128;       // of one block
constexpr int64_t kRows = 128;         // of the panel, a piece of work
constexpr int64_t kProductTile = 256;  // a side of the tiles that V V^T updates
constexpr int64_t kMirror = 64;

// inverse [size, size] = L^-1 of the block L L^T whose lower half stands at `block`; zeros above the diagonal. Forward
// elimination in place: at pivot p, columns below p hold the inverse of L with a unit diagonal, the others what is left
// of the block. Returns the first pivot that is no positive finite number, or -1.
int64_t invert_factor(const float* block, int64_t stride, int64_t size, double* inverse) {
  for (int64_t r = 0; r < size; ++r) {
    for (int64_t c = 0; c <= r; ++c)
      inverse[r * size + c] = inverse[c * size + r] = static_cast<double>(block[r * stride + c]);
  }
  for (int64_t p = 0; p < size; ++p) {
    const double* pivots = inverse + p * size;
    const double pivot = pivots[p];
    if (!(pivot > 0.0 && std::isfinite(pivot))) return p;
    for (int64_t r = p + 1; r < size; ++r) {
      double* row = inverse + r * size;
      const double scale = pivots[r] / pivot;
#pragma omp simd
      for (int64_t c = 0; c < size; ++c) row[c] -= scale * pivots[c];
      row[p] = -scale;
    }
  }
  for (int64_t r = 0; r < size; ++r) {
    double* row = inverse + r * size;
    const double scale = 1.0 / std::sqrt(row[r]);
    for (int64_t c = 0; c < r; ++c) row[c] *= scale;
    row[r] = scale;
    std::fill(row + r + 1, row + size, 0.0);
  }
  return -1;
}

// visit(row tile, column tile) for the tiles on and below the diagonal, each once, on all threads.
template <class Visit>
void for_lower_tiles(const Context& context, int64_t n, int64_t tile, const Visit& visit) {
  const int64_t n_tiles = (n + tile - 1) / tile;
  parallel_for(context, n_tiles * (n_tiles + 1) / 2, 1, [&](int64_t begin, int64_t) {
    int64_t row = 0, column = begin;
    while (column > row) column -= ++row;
    visit(row * tile, column * tile);
  });
}

}  // namespace

void spd_inverse(Context& context, const SpdInverseArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const MatrixView<float> t = args.matrix;
  const int64_t n = t.rows;
  ScratchScope scratch(context);
  double* inverse = scratch.take<double>(kPivots * kPivots);
  float* panel = scratch.take<float>(n * kPivots);  // V
  double* pieces = scratch.take<double>(2 * context.n_threads() * kRows * kPivots);
  for (int64_t first = 0; first < n; first += kPivots) {
    const int64_t size = std::min(kPivots, n - first);
    const int64_t bad = invert_factor(t.row(first) + first, n, size, inverse);
    if (bad >= 0) {
      args.failed[0] = static_cast<int32_t>(1 + first + bad);
      return;
    }
    // V, and V C in place of T_:k. The block's own rows of V stay zero, so that the update leaves them; with the
    // identity in place of T_kk, C^T C comes out of the same two products.
    parallel_for(context, n, kRows, [&](int64_t begin, int64_t end, int thread) {
      static_assert(kRows == kPivots);  // a piece is the block of pivots or apart from it
      const int64_t rows = end - begin;
      double* left = pieces + 2 * thread * kRows * kPivots;
      double* right = left + kRows * kPivots;
      const bool own = begin == first, below = begin > first;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < size; ++c) {
          left[r * size + c] = own     ? (r == c ? 1.0 : 0.0)
                               : below ? static_cast<double>(t(begin + r, first + c))
                                       : static_cast<double>(t(first + c, begin + r));
        }
      }
      sheaf::cpu::gemm_double({rows, size, size, left, size, false, inverse, size, true, 0.0, right, size});
      for (int64_t i = 0; i < rows * size; ++i) panel[begin * size + i] = own ? 0.0f : static_cast<float>(right[i]);
      sheaf::cpu::gemm_double({rows, size, size, right, size, false, inverse, size, false, 0.0, left, size});
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < size; ++c) {
          const auto value = static_cast<float>(left[r * size + c]);
          if (own) {
            if (c <= r) t(begin + r, first + c) = -value;
          } else if (below) {
            t(begin + r, first + c) = value;
          } else {
            t(first + c, begin + r) = value;
          }
        }
      }
    });
    for_lower_tiles(context, n, kProductTile, [&](int64_t row, int64_t column) {
      sheaf::cpu::gemm({std::min(kProductTile, n - row), std::min(kProductTile, n - column), size, panel + row * size,
                        size, false, panel + column * size, size, true, 1.0f, t.row(row) + column, n, -1.0f});
    });
  }
  for_lower_tiles(context, n, kMirror, [&](int64_t row, int64_t column) {
    for (int64_t r = row; r < std::min(row + kMirror, n); ++r) {
      for (int64_t c = column; c < std::min(column + kMirror, r + 1); ++c) t(r, c) = t(c, r) = -t(r, c);
    }
  });
}

}  // namespace sheaf::dense::cpu
