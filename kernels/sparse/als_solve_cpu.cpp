#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/sparse/als_solve.hpp"
#include "kernels/sparse/als_system.hpp"

namespace sheaf::sparse::cpu {
namespace {

constexpr int64_t kWhitened = 64;                   // items whose L^-1 y are made together
constexpr int64_t kTileRows = 4, kTileColumns = 8;  // of sums that stand in registers
constexpr int64_t kRows = 32;                       // rows whose L^-T z are made together
constexpr int64_t kEntries = 256;                   // rows of V that stand in memory at a time

/// inverse [dim, dim] = L^-1 of gram + l2 I = L L^T, zeros above the diagonal. Forward elimination in place: at pivot
/// p, columns below p hold the inverse of L with a unit diagonal, the others what is left of the matrix. Returns the
/// first pivot that is no positive finite number, or -1.
int64_t invert_factor(MatrixView<const double> gram, double l2, double* inverse) {
  const int64_t dim = gram.rows;
  std::copy_n(gram.data, dim * dim, inverse);
  for (int64_t p = 0; p < dim; ++p) inverse[p * dim + p] += l2;
  for (int64_t p = 0; p < dim; ++p) {
    const double* pivots = inverse + p * dim;
    const double pivot = pivots[p];
    if (!(pivot > 0.0 && std::isfinite(pivot))) return p;
    for (int64_t r = p + 1; r < dim; ++r) {
      double* row = inverse + r * dim;
      const double scale = pivots[r] / pivot;
#pragma omp simd
      for (int64_t c = 0; c < dim; ++c) row[c] -= scale * pivots[c];
      row[p] = -scale;
    }
  }
  for (int64_t r = 0; r < dim; ++r) {
    double* row = inverse + r * dim;
    const double scale = 1.0 / std::sqrt(row[r]);
    for (int64_t c = 0; c < r; ++c) row[c] *= scale;
    row[r] = scale;
    std::fill(row + r + 1, row + dim, 0.0);
  }
  return -1;
}

/// A triangular matrix [dim, stride] whose rows are padded with zeros to whole tiles of columns.
struct Triangle {
  const double* values;
  int64_t dim, stride;
  bool is_upper;
};

int64_t stride_of(int64_t dim) { return (dim + kTileColumns - 1) / kTileColumns * kTileColumns; }

/// out [n, dim] = in [n, dim] times the triangle, n <= kWhitened. `wide` holds (kWhitened + kTileRows) dim doubles. The
/// terms of a sum are in order whatever the tile, so a row has the same bits in any company.
void times_triangle(const float* in, int64_t n, const Triangle& by, double* wide, float* out) {
  const int64_t dim = by.dim;
  std::transform(in, in + n * dim, wide, [](float value) { return static_cast<double>(value); });
  std::fill_n(wide + n * dim, kTileRows * dim, 0.0);
  for (int64_t row = 0; row < n; row += kTileRows) {
    const double* from = wide + row * dim;
    for (int64_t column = 0; column < dim; column += kTileColumns) {
      double sums[kTileRows][kTileColumns] = {};
      const int64_t begin = by.is_upper ? 0 : column;
      const int64_t end = by.is_upper ? std::min(dim, column + kTileColumns) : dim;
      for (int64_t k = begin; k < end; ++k) {
        const double* terms = by.values + k * by.stride + column;
#pragma GCC unroll 4
        for (int64_t r = 0; r < kTileRows; ++r) {
          const double factor = from[r * dim + k];
#pragma omp simd
          for (int64_t c = 0; c < kTileColumns; ++c) sums[r][c] += factor * terms[c];
        }
      }
      for (int64_t r = 0; r < std::min(kTileRows, n - row); ++r) {
        for (int64_t c = 0; c < std::min(kTileColumns, dim - column); ++c) {
          out[(row + r) * dim + column + c] = static_cast<float>(sums[r][c]);
        }
      }
    }
  }
}

/// One thread's room for the rows it solves.
struct Workspace {
  float* terms;     // [kEntries, padded dim] rows of V
  float* panels;    // [padded dim, dim] those of a short row, packed
  float* system;    // [padded dim, padded dim + 1]
  float* solution;  // [padded dim]
  float* right;     // [dim]
  float* z;         // [kRows, dim]
  double* wide;     // [kWhitened + kTileRows, dim]
};

class Solver {
 public:
  Solver(const AlsSolveArgs& args, const float* whitened)
      : args_(args), whitened_(whitened), dim_(args.items.cols), loops_(als_system_loops()) {}

  /// z [dim] of row r.
  void solve(int64_t r, const Workspace& w, float* z) const {
    const int64_t begin = args_.rows.row_offsets[r], n = args_.rows.row_size(r);
    std::fill_n(z, dim_, 0.0f);
    if (n == 0) return;
    if (n < dim_) {
      solve_by_entries(begin, n, w, z);
    } else {
      solve_by_dimensions(begin, n, w, z);
    }
  }

 private:
  float root_of(int64_t e, float& h) const {
    const float d = args_.alpha * (args_.rows.values ? args_.rows.values[e] : 1.0f);
    const float root = std::sqrt(d);
    h = (args_.targets.empty() ? 1.0f : args_.targets[e]) * ((1.0f + d) / root);
    return root;
  }
  const float* whitened_of(int64_t e) const { return whitened_ + args_.rows.columns[e] * dim_; }

  /// (I + V V^T) q = h; z = V^T q.
  void solve_by_entries(int64_t begin, int64_t n, const Workspace& w, float* z) const {
    const AlsSystem system{w.system, n, padded_to_lanes(n + 1)};
    for (int64_t e = 0; e < n; ++e) {
      const float root = root_of(begin + e, w.right[e]);
      const float* from = whitened_of(begin + e);
      float* to = w.terms + e * dim_;
#pragma omp simd
      for (int64_t k = 0; k < dim_; ++k) to[k] = root * from[k];
    }
    loops_.multiply_rows(system, w.terms, dim_, w.panels);
    finish(system, w.right, w.solution);
    for (int64_t e = 0; e < n; ++e) axpy(w.solution[e], w.terms + e * dim_, z, dim_);
  }

  /// (I + V^T V) z = V^T h.
  void solve_by_dimensions(int64_t begin, int64_t n, const Workspace& w, float* z) const {
    const AlsSystem system{w.system, dim_, padded_to_lanes(dim_ + 1)};
    const int64_t width = padded_to_lanes(dim_);
    std::fill_n(w.right, dim_, 0.0f);
    for (int64_t first = 0; first < n; first += kEntries) {
      const int64_t count = std::min(kEntries, n - first);
      for (int64_t e = 0; e < count; ++e) {
        float h = 0.0f;
        const float root = root_of(begin + first + e, h);
        const float* from = whitened_of(begin + first + e);
        float* to = w.terms + e * width;
#pragma omp simd
        for (int64_t k = 0; k < dim_; ++k) {
          to[k] = root * from[k];
          w.right[k] += h * to[k];
        }
        std::fill(to + dim_, to + width, 0.0f);
      }
      loops_.add_terms(system, w.terms, count, first > 0);
    }
    finish(system, w.right, w.solution);
    std::copy_n(w.solution, dim_, z);
  }

  /// The identity is added, and the system solved.
  void finish(const AlsSystem& system, const float* right, float* solution) const {
    for (int64_t i = 0; i < system.size; ++i) {
      float* row = system.row(i);
      row[i] += 1.0f;
      row[system.size] = right[i];
      std::fill(row + system.size + 1, row + system.stride, 0.0f);
    }
    loops_.solve(system, solution);
  }

  const AlsSolveArgs& args_;
  const float* whitened_;  // [n_columns, dim]
  int64_t dim_;
  const AlsSystemLoops& loops_;
};

}  // namespace

void als_solve(Context& context, const AlsSolveArgs& args) {
  const int64_t dim = args.items.cols, n_columns = args.items.rows, stride = stride_of(dim);
  ScratchScope scratch(context);
  double* inverse = scratch.take<double>(dim * dim);
  const int64_t bad = invert_factor(args.gram, args.l2, inverse);
  if (bad >= 0) {
    args.failed[0] = static_cast<int32_t>(1 + bad);
    return;
  }
  double* lower = scratch.take<double>(2 * dim * stride);  // L^-1, then its transpose
  double* upper = lower + dim * stride;
  std::fill_n(lower, 2 * dim * stride, 0.0);
  for (int64_t r = 0; r < dim; ++r) {
    for (int64_t c = 0; c <= r; ++c) lower[r * stride + c] = upper[c * stride + r] = inverse[r * dim + c];
  }
  // Few rows name few items: only blocks of items with one that is named are whitened.
  std::vector<uint8_t> named(static_cast<size_t>((n_columns + kWhitened - 1) / kWhitened), uint8_t{0});
  for (int64_t e = 0; e < args.rows.nnz; ++e) named[static_cast<size_t>(args.rows.columns[e] / kWhitened)] = 1;
  float* whitened = scratch.take<float>(n_columns * dim);
  const int64_t wide_size = (kWhitened + kTileRows) * dim;
  double* wide = scratch.take<double>(context.n_threads() * wide_size);
  parallel_for(context, n_columns, kWhitened, [&](int64_t begin, int64_t end, int thread) {
    if (named[static_cast<size_t>(begin / kWhitened)] == 0) return;
    times_triangle(args.items.row(begin), end - begin, {upper, dim, stride, true}, wide + thread * wide_size,
                   whitened + begin * dim);
  });
  const int64_t width = padded_to_lanes(dim), system_size = width * padded_to_lanes(dim + 1);
  const int64_t sizes[]{kEntries * width, width * dim, system_size, width, width, kRows * dim};
  const int64_t room = std::accumulate(std::begin(sizes), std::end(sizes), int64_t{0});
  float* rooms = scratch.take<float>(context.n_threads() * room);
  const Solver solver(args, whitened);
  parallel_for(context, args.rows.n_rows, kRows, [&](int64_t begin, int64_t end, int thread) {
    Workspace w{};
    float** parts[]{&w.terms, &w.panels, &w.system, &w.solution, &w.right, &w.z};
    float* at = rooms + thread * room;
    for (size_t p = 0; p < std::size(parts); ++p) {
      *parts[p] = at;
      at += sizes[p];
    }
    w.wide = wide + thread * wide_size;
    for (int64_t r = begin; r < end; ++r) solver.solve(r, w, w.z + (r - begin) * dim);
    times_triangle(w.z, end - begin, {lower, dim, stride, false}, w.wide, args.out.row(begin));
  });
}

}  // namespace sheaf::sparse::cpu
