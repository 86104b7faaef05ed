#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/sparse/als_solve.hpp"

namespace sheaf::sparse::cpu {
namespace {

constexpr int64_t kWhitened = 64;    // items whose L^-1 y are made together
constexpr int64_t kRows = 16;        // rows whose L^-T z are made together
constexpr int64_t kEntries = 256;    // rows of V that stand in memory at a time
constexpr int64_t kTile = 64;        // rows of V^T V that one product writes
constexpr int64_t kFewEntries = 12;  // up to which V V^T is made by inner products
constexpr int64_t kLanes = 8;        // rows of a system begin at multiples of so many floats
constexpr int64_t kPivots = 4;       // whose rows are taken off the others together

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

/// out = in C^T, or in C, for a few rows [n, dim]; `wide` holds 2 n dim doubles.
void times_inverse(const float* in, int64_t n, int64_t dim, const double* inverse, bool transposed, double* wide,
                   float* out) {
  const int64_t size = n * dim;
  std::transform(in, in + size, wide, [](float value) { return static_cast<double>(value); });
  sheaf::cpu::gemm_double({n, dim, dim, wide, dim, false, inverse, dim, transposed, 0.0, wide + size, dim});
  std::transform(wide + size, wide + 2 * size, out, [](double value) { return static_cast<float>(value); });
}

/// A symmetric positive definite system [size, size] with its right side behind the last column of each row; only the
/// upper half is read.
struct System {
  float* a;
  int64_t size, stride;

  float* row(int64_t r) const { return a + r * stride; }
  float& right(int64_t r) const { return a[r * stride + size]; }
};

int64_t stride_of(int64_t size) { return (size + kLanes) / kLanes * kLanes; }

/// Cholesky, R^T R with rows of R in place, and both triangular systems. The pivots are at least 1 but for rounding.
void solve_system(const System& s, float* solution) {
  const int64_t m = s.size, width = s.stride;
  for (int64_t p = 0; p < m; p += kPivots) {
    const int64_t block = std::min(kPivots, m - p), from = p / kLanes * kLanes;
    for (int64_t q = p; q < p + block; ++q) {
      float* own = s.row(q);
      for (int64_t t = p; t < q; ++t) {
        const float* row = s.row(t);
        const float scale = row[q];
#pragma omp simd
        for (int64_t c = from; c < width; ++c) own[c] -= scale * row[c];
      }
      const float scale = 1.0f / std::sqrt(own[q]);
#pragma omp simd
      for (int64_t c = from; c < width; ++c) own[c] *= scale;
    }
    if (block < kPivots) break;
    const float *row0 = s.row(p), *row1 = s.row(p + 1), *row2 = s.row(p + 2), *row3 = s.row(p + 3);
    for (int64_t r = p + kPivots; r < m; ++r) {
      float* own = s.row(r);
      const float c0 = row0[r], c1 = row1[r], c2 = row2[r], c3 = row3[r];
      for (int64_t first = r / kLanes * kLanes; first < width; first += kLanes) {
#pragma omp simd
        for (int64_t c = first; c < first + kLanes; ++c) {
          own[c] -= (c0 * row0[c] + c1 * row1[c]) + (c2 * row2[c] + c3 * row3[c]);
        }
      }
    }
  }
  for (int64_t p = m - 1; p >= 0; --p) {
    const float* row = s.row(p);
    solution[p] = (s.right(p) - dot(row + p + 1, solution + p + 1, m - p - 1)) / row[p];
  }
}

/// One thread's room for the rows it solves.
struct Workspace {
  float *v, *h, *system, *solution, *z;
  double* wide;
};

class Solver {
 public:
  Solver(const AlsSolveArgs& args, const float* whitened) : args_(args), whitened_(whitened), dim_(args.items.cols) {}

  /// z [dim] of row r.
  void solve(int64_t r, const Workspace& w, float* z) const {
    const int64_t begin = args_.rows.row_offsets[r], n = args_.rows.row_size(r);
    if (n == 0) {
      std::fill_n(z, dim_, 0.0f);
    } else if (n < dim_) {
      solve_by_entries(begin, n, w, z);
    } else {
      solve_by_dimensions(begin, n, w, z);
    }
  }

 private:
  /// v [n, dim] and h [n] of entries begin ..
  void gather(int64_t begin, int64_t n, const Workspace& w) const {
    for (int64_t e = 0; e < n; ++e) {
      const float d = args_.alpha * (args_.rows.values ? args_.rows.values[begin + e] : 1.0f);
      const float root = std::sqrt(d);
      const float target = args_.targets.empty() ? 1.0f : args_.targets[begin + e];
      w.h[e] = target * ((1.0f + d) / root);
      const float* from = whitened_ + args_.rows.columns[begin + e] * dim_;
      float* to = w.v + e * dim_;
#pragma omp simd
      for (int64_t c = 0; c < dim_; ++c) to[c] = root * from[c];
    }
  }

  /// (I + V V^T) q = h; z = V^T q.
  void solve_by_entries(int64_t begin, int64_t n, const Workspace& w, float* z) const {
    gather(begin, n, w);
    const System system{w.system, n, stride_of(n)};
    if (n <= kFewEntries) {
      for (int64_t i = 0; i < n; ++i) {
        float* row = system.row(i);
        for (int64_t j = i; j < n; ++j) row[j] = dot(w.v + i * dim_, w.v + j * dim_, dim_);
      }
    } else {
      sheaf::cpu::gemm({n, n, dim_, w.v, dim_, false, w.v, dim_, true, 0.0f, system.a, system.stride});
    }
    for (int64_t i = 0; i < n; ++i) {
      system.row(i)[i] += 1.0f;
      system.right(i) = w.h[i];
    }
    solve_system(system, w.solution);
    std::fill_n(z, dim_, 0.0f);
    for (int64_t e = 0; e < n; ++e) axpy(w.solution[e], w.v + e * dim_, z, dim_);
  }

  /// (I + V^T V) z = V^T h.
  void solve_by_dimensions(int64_t begin, int64_t n, const Workspace& w, float* z) const {
    const System system{w.system, dim_, stride_of(dim_)};
    std::fill_n(z, dim_, 0.0f);  // holds the right side first
    for (int64_t first = 0; first < n; first += kEntries) {
      const int64_t count = std::min(kEntries, n - first);
      gather(begin + first, count, w);
      // Rows of the upper half.
      for (int64_t i = 0; i < dim_; i += kTile) {
        sheaf::cpu::gemm({std::min(kTile, dim_ - i), dim_ - i, count, w.v + i, dim_, true, w.v + i, dim_, false,
                          first == 0 ? 0.0f : 1.0f, system.row(i) + i, system.stride});
      }
      for (int64_t e = 0; e < count; ++e) axpy(w.h[e], w.v + e * dim_, z, dim_);
    }
    for (int64_t i = 0; i < dim_; ++i) {
      system.row(i)[i] += 1.0f;
      system.right(i) = z[i];
    }
    solve_system(system, z);
  }

  const AlsSolveArgs& args_;
  const float* whitened_;  // [n_columns, dim]
  int64_t dim_;
};

}  // namespace

void als_solve(Context& context, const AlsSolveArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const int64_t dim = args.items.cols, n_columns = args.items.rows;
  ScratchScope scratch(context);
  double* inverse = scratch.take<double>(dim * dim);
  const int64_t bad = invert_factor(args.gram, args.l2, inverse);
  if (bad >= 0) {
    args.failed[0] = static_cast<int32_t>(1 + bad);
    return;
  }
  // Few rows name few items: only blocks of items with one that is named are whitened.
  std::vector<uint8_t> named(static_cast<size_t>((n_columns + kWhitened - 1) / kWhitened), uint8_t{0});
  for (int64_t e = 0; e < args.rows.nnz; ++e) named[static_cast<size_t>(args.rows.columns[e] / kWhitened)] = 1;
  float* whitened = scratch.take<float>(n_columns * dim);
  const int64_t most = std::max(kWhitened, kEntries);
  double* wide = scratch.take<double>(context.n_threads() * 2 * kWhitened * dim);
  parallel_for(context, n_columns, kWhitened, [&](int64_t begin, int64_t end, int thread) {
    if (named[static_cast<size_t>(begin / kWhitened)] == 0) return;
    times_inverse(args.items.row(begin), end - begin, dim, inverse, true, wide + thread * 2 * kWhitened * dim,
                  whitened + begin * dim);
  });
  const int64_t room = most * dim + most + dim * stride_of(dim) + dim + kRows * dim;
  float* rooms = scratch.take<float>(context.n_threads() * room);
  const Solver solver(args, whitened);
  parallel_for(context, args.rows.n_rows, kRows, [&](int64_t begin, int64_t end, int thread) {
    Workspace w{};
    w.v = rooms + thread * room;
    w.h = w.v + most * dim;
    w.system = w.h + most;
    w.solution = w.system + dim * stride_of(dim);
    w.z = w.solution + dim;
    w.wide = wide + thread * 2 * kWhitened * dim;
    for (int64_t r = begin; r < end; ++r) solver.solve(r, w, w.z + (r - begin) * dim);
    times_inverse(w.z, end - begin, dim, inverse, false, w.wide, args.out.row(begin));
  });
}

}  // namespace sheaf::sparse::cpu
