#include "engine/models/truncated_svd.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/layers/parameter.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/dense/gram.hpp"
#include "kernels/dense/linear.hpp"
#include "kernels/sparse/spmm.hpp"

namespace sheaf {
namespace {

constexpr int64_t kMoreColumns = 16;   // of the subspace than are wanted
constexpr double kFloatNoise = 1e-10;  // of a squared length: what is left of a column that others make up, in float
constexpr int64_t kMostRounds = 30;    // of rotations over all pairs; a few are enough

/// A tall matrix on the device, with room for one more row, which stands for the mean.
struct Tall {
  int64_t rows = 0, cols = 0;
  Buffer<float> values;  // [rows + 1, cols]

  Tall(Context& context, int64_t n_rows, int64_t n_cols)
      : rows(n_rows), cols(n_cols), values(Buffer<float>::zeros(context, (n_rows + 1) * n_cols)) {}
  MatrixView<float> matrix() { return {values.data(), rows, cols}; }
  MatrixView<float> with_last() { return {values.data(), rows + 1, cols}; }
  MatrixView<float> last() { return {values.data() + rows * cols, 1, cols}; }
};

/// One row of all columns.
HostCsr full_row(std::vector<float> values) {
  HostCsr row;
  row.n_columns = std::ssize(values);
  row.columns.resize(values.size());
  std::iota(row.columns.begin(), row.columns.end(), 0);
  row.values = std::move(values);
  row.row_offsets.push_back(row.nnz());
  return row;
}

/// `matrix` with one more column that holds -mean[r] in row r.
HostCsr beside(const HostCsr& matrix, const std::vector<float>& mean) {
  HostCsr out;
  out.n_columns = matrix.n_columns + 1;
  for (int64_t r = 0; r < matrix.n_rows(); ++r) {
    for (auto e = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r)]);
         e < static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r) + 1]); ++e) {
      out.columns.push_back(matrix.columns[e]);
      out.values.push_back(matrix.values.empty() ? 1.0f : matrix.values[e]);
    }
    out.columns.push_back(static_cast<int32_t>(matrix.n_columns));
    out.values.push_back(-mean[static_cast<size_t>(r)]);
    out.row_offsets.push_back(out.nnz());
  }
  return out;
}

/// A = matrix - 1 mean^T. A V = [matrix, -1] [V; mean^T V], and A^T U = [matrix^T, -mean] [U; 1^T U].
class Centred {
 public:
  Centred(Context& context, const HostCsr& matrix, const std::vector<float>& mean)
      : has_mean_(!mean.empty()),
        n_rows_(matrix.n_rows()),
        n_columns_(matrix.n_columns),
        rows_(context, has_mean_ ? beside(matrix, std::vector<float>(static_cast<size_t>(n_rows_), 1.0f)) : matrix),
        columns_(context, has_mean_ ? beside(transpose(matrix), mean) : transpose(matrix)),
        mean_(context, full_row(mean)),
        ones_(context, full_row(std::vector<float>(static_cast<size_t>(has_mean_ ? n_rows_ : 0), 1.0f))) {}

  Tall times(Context& context, Tall& right) const { return product(context, rows_, mean_, n_rows_, right); }
  Tall transposed_times(Context& context, Tall& left) const {
    return product(context, columns_, ones_, n_columns_, left);
  }

 private:
  Tall product(Context& context, const DeviceCsr& by, const DeviceCsr& sums, int64_t n_rows, Tall& in) const {
    check_interrupt("training");
    if (has_mean_) sparse::spmm(context, {.graph = sums.view(), .in = in.matrix(), .out = in.last()});
    Tall out(context, n_rows, in.cols);
    sparse::spmm(context, {.graph = by.view(), .in = has_mean_ ? in.with_last() : in.matrix(), .out = out.matrix()});
    return out;
  }

  bool has_mean_;
  int64_t n_rows_, n_columns_;
  DeviceCsr rows_, columns_, mean_, ones_;
};

/// x times `weight`^T, where weight is [n_out, x.cols] on the host.
Tall times_small(Context& context, Tall& x, const std::vector<float>& weight, int64_t n_out) {
  Tall out(context, x.rows, n_out);
  const Buffer<float> device(context, weight), bias = Buffer<float>::zeros(context, n_out);
  dense::linear(context,
                {.x = x.matrix(), .weight = device.matrix(n_out, x.cols), .bias = bias.view(), .out = out.matrix()});
  context.synchronize();  // `device` ends here
  return out;
}

std::vector<double> gram_on_host(Context& context, Tall& x) {
  Buffer<double> gram(context, x.cols * x.cols);
  dense::gram(context, {.x = x.matrix(), .out = gram.matrix(x.cols, x.cols)});
  return gram.to_host();
}

/// [n_out, n] and n_out: the columns of a matrix with the Gram matrix R^T R [n, n], times R^-1, are orthonormal. A
/// column that those before it make up, but for the noise of floats, is left out.
std::pair<std::vector<float>, int64_t> orthonormalising(std::vector<double> gram, int64_t n) {
  const auto row = [&](int64_t r) { return gram.data() + r * n; };
  std::vector<double> before(static_cast<size_t>(n));
  for (int64_t p = 0; p < n; ++p) before[static_cast<size_t>(p)] = row(p)[p];
  std::vector<int64_t> kept;
  for (int64_t p = 0; p < n; ++p) {
    double* own = row(p);
    if (!(own[p] > kFloatNoise * before[static_cast<size_t>(p)])) continue;
    kept.push_back(p);
    const double scale = 1.0 / std::sqrt(own[p]);
    for (int64_t c = p; c < n; ++c) own[c] *= scale;
    for (int64_t r = p + 1; r < n; ++r) {
      const double factor = own[r];
      double* other = row(r);
      for (int64_t c = r; c < n; ++c) other[c] -= factor * own[c];
    }
  }
  const auto n_out = std::ssize(kept);
  std::vector<float> weight(static_cast<size_t>(n_out * n), 0.0f);
  std::vector<double> column(static_cast<size_t>(n_out));
  for (int64_t o = 0; o < n_out; ++o) {  // column o of R^-1 of what was kept
    for (int64_t i = o; i >= 0; --i) {
      const double* own = row(kept[static_cast<size_t>(i)]);
      double left = i == o ? 1.0 : 0.0;
      for (int64_t k = i + 1; k <= o; ++k) left -= own[kept[static_cast<size_t>(k)]] * column[static_cast<size_t>(k)];
      column[static_cast<size_t>(i)] = left / own[kept[static_cast<size_t>(i)]];
      weight[static_cast<size_t>(o * n + kept[static_cast<size_t>(i)])] =
          static_cast<float>(column[static_cast<size_t>(i)]);
    }
  }
  return {std::move(weight), n_out};
}

/// An orthonormal basis of the span of x. The second round mends what the first one's rounding left.
Tall basis_of(Context& context, Tall x) {
  for (int round = 0; round < 2 && x.cols > 0; ++round) {
    auto [weight, n_out] = orthonormalising(gram_on_host(context, x), x.cols);
    x = times_small(context, x, weight, n_out);
  }
  return x;
}

}  // namespace

Eigen symmetric_eigen(int64_t n, std::vector<double> matrix) {
  const auto at = [&](int64_t r, int64_t c) -> double& { return matrix[static_cast<size_t>(r * n + c)]; };
  std::vector<double> vectors(static_cast<size_t>(n * n), 0.0);  // rows turn with the matrix
  double total = 0.0;
  for (int64_t i = 0; i < n; ++i) vectors[static_cast<size_t>(i * n + i)] = 1.0;
  for (const double value : matrix) total += value * value;
  for (int64_t round = 0; round < kMostRounds; ++round) {
    check_interrupt("training");
    double beside = 0.0;
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t c = 0; c < r; ++c) beside += 2.0 * at(r, c) * at(r, c);
    }
    if (!(beside > 1e-28 * total)) break;
    for (int64_t p = 0; p < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        const double off = at(p, q);
        if (off == 0.0) continue;
        const double theta = (at(q, q) - at(p, p)) / (2.0 * off);
        const double t = (theta >= 0.0 ? 1.0 : -1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1.0));
        const double c = 1.0 / std::sqrt(t * t + 1.0), s = t * c;
        const auto turn = [&](double* a, double* b) {
          for (int64_t k = 0; k < n; ++k) {
            const double x = a[k], y = b[k];
            a[k] = c * x - s * y;
            b[k] = s * x + c * y;
          }
        };
        const double pp = at(p, p) - t * off, qq = at(q, q) + t * off;
        turn(&at(p, 0), &at(q, 0));
        for (int64_t k = 0; k < n; ++k) {  // rows stand for columns
          at(k, p) = at(p, k);
          at(k, q) = at(q, k);
        }
        at(p, p) = pp;
        at(q, q) = qq;
        at(p, q) = at(q, p) = 0.0;
        turn(vectors.data() + p * n, vectors.data() + q * n);
      }
    }
  }
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return at(a, a) > at(b, b); });
  Eigen out;
  for (const int64_t k : order) {
    out.values.push_back(at(k, k));
    out.vectors.insert(out.vectors.end(), vectors.begin() + k * n, vectors.begin() + (k + 1) * n);
  }
  return out;
}

TruncatedSvd truncated_svd(Context& context, const HostCsr& matrix, const std::vector<float>& column_mean, int64_t dim,
                           int64_t iterations, uint64_t seed) {
  const int64_t n_columns = matrix.n_columns;
  TruncatedSvd out{.n_columns = n_columns, .dim = 0, .singular = {}, .right = {}};
  const int64_t width = std::min({dim + kMoreColumns, n_columns, matrix.n_rows()});
  if (width <= 0 || dim <= 0) return out;
  const Centred a(context, matrix, column_mean);
  Tall v(context, n_columns, width);
  context.copy_from_host(v.values.data(), normal_values(n_columns, width, seed, 0, 1.0f).data(),
                         static_cast<size_t>(n_columns * width) * sizeof(float));
  v = basis_of(context, std::move(v));
  for (int64_t i = 0; i < iterations; ++i) {
    Tall u = basis_of(context, a.times(context, v));
    v = basis_of(context, a.transposed_times(context, u));
  }
  if (v.cols == 0) return out;
  Tall b = a.times(context, v);
  const Eigen eigen = symmetric_eigen(v.cols, gram_on_host(context, b));
  int64_t found = 0;
  while (found < std::min(dim, v.cols) && eigen.values[static_cast<size_t>(found)] > kFloatNoise * eigen.values[0]) {
    out.singular.push_back(std::sqrt(eigen.values[static_cast<size_t>(found++)]));
  }
  out.dim = found;
  if (found == 0) return out;
  const std::vector<float> turned(eigen.vectors.begin(), eigen.vectors.begin() + found * v.cols);
  Tall right = times_small(context, v, turned, found);
  out.right.resize(static_cast<size_t>(n_columns * found));
  context.copy_to_host(out.right.data(), right.values.data(), out.right.size() * sizeof(float));
  return out;
}

}  // namespace sheaf
