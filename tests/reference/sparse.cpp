#include "tests/reference/sparse.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sheaf::ref {
namespace {

// A small dense matrix.
struct Dense {
  int64_t rows = 0, cols = 0;
  std::vector<double> values;

  Dense(int64_t n_rows, int64_t n_cols)
      : rows(n_rows), cols(n_cols), values(static_cast<size_t>(n_rows * n_cols), 0.0) {}
  double& operator()(int64_t r, int64_t c) { return values[static_cast<size_t>(r * cols + c)]; }
  double operator()(int64_t r, int64_t c) const { return values[static_cast<size_t>(r * cols + c)]; }
};

Dense transposed(const Dense& a) {
  Dense out(a.cols, a.rows);
  for (int64_t r = 0; r < a.rows; ++r) {
    for (int64_t c = 0; c < a.cols; ++c) out(c, r) = a(r, c);
  }
  return out;
}

Dense absolute(Dense a) {
  for (double& value : a.values) value = std::abs(value);
  return a;
}

Dense product(const Dense& a, const Dense& b) {
  Dense out(a.rows, b.cols);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t k = 0; k < a.cols; ++k) {
      for (int64_t j = 0; j < b.cols; ++j) out(i, j) += a(i, k) * b(k, j);
    }
  }
  return out;
}

// X of a X = b by elimination with the largest pivot of each column.
Dense solution(Dense a, Dense b) {
  const int64_t n = a.rows;
  for (int64_t p = 0; p < n; ++p) {
    int64_t best = p;
    for (int64_t r = p + 1; r < n; ++r) best = std::abs(a(r, p)) > std::abs(a(best, p)) ? r : best;
    for (int64_t c = 0; c < n; ++c) std::swap(a(p, c), a(best, c));
    for (int64_t c = 0; c < b.cols; ++c) std::swap(b(p, c), b(best, c));
    for (int64_t r = 0; r < n; ++r) {
      if (r == p) continue;
      const double factor = a(r, p) / a(p, p);
      for (int64_t c = p; c < n; ++c) a(r, c) -= factor * a(p, c);
      for (int64_t c = 0; c < b.cols; ++c) b(r, c) -= factor * b(p, c);
    }
  }
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t c = 0; c < b.cols; ++c) b(r, c) /= a(r, r);
  }
  return b;
}

Dense identity(int64_t n) {
  Dense out(n, n);
  for (int64_t i = 0; i < n; ++i) out(i, i) = 1.0;
  return out;
}

// Lower L with L L^T = a.
Dense cholesky(const Dense& a) {
  Dense out(a.rows, a.rows);
  for (int64_t r = 0; r < a.rows; ++r) {
    for (int64_t c = 0; c <= r; ++c) {
      double left = a(r, c);
      for (int64_t k = 0; k < c; ++k) left -= out(r, k) * out(c, k);
      out(r, c) = r == c ? std::sqrt(left) : left / out(c, c);
    }
  }
  return out;
}

Dense sum_of(Dense a, const Dense& b, double times) {
  for (size_t i = 0; i < a.values.size(); ++i) a.values[i] += times * b.values[i];
  return a;
}

// e_z of kernels/sparse/als_solve.hpp for V [n, dim] and h [n, 1].
Dense als_error(const Dense& v, const Dense& h) {
  const bool by_entries = v.rows < v.cols;
  const Dense across = by_entries ? transposed(v) : v;  // S = I + across^T across
  const int64_t m = across.cols;
  const auto n = static_cast<double>(v.rows), terms = static_cast<double>(across.rows);
  const Dense system = sum_of(product(transposed(across), across), identity(m), 1.0);
  const Dense sizes = sum_of(product(transposed(absolute(across)), absolute(across)), identity(m), 1.0);
  const Dense factor = absolute(cholesky(system));  // |R|^T
  const Dense right = by_entries ? h : product(transposed(v), h);
  const Dense found = absolute(solution(system, right));
  Dense moved = sum_of(product(sizes, found), product(sizes, found), terms + 11.0);
  moved = sum_of(moved, product(factor, product(transposed(factor), found)), 3.0 * static_cast<double>(m) + 1.0);
  moved = by_entries ? sum_of(moved, absolute(h), 6.0)
                     : sum_of(moved, product(transposed(absolute(v)), absolute(h)), n + 9.0);
  Dense error = product(absolute(solution(system, identity(m))), moved);
  if (by_entries) {
    error = sum_of(product(transposed(absolute(v)), error), product(transposed(absolute(v)), found), n + 6.0);
  }
  for (double& value : error.values) value *= 0x1.0p-24;
  return error;
}

// visit(column, value) for every entry of the row.
template <class Visit>
void for_each_entry(const test::HostCsr& matrix, int32_t row, const Visit& visit) {
  const auto r = static_cast<size_t>(row);
  for (auto e = static_cast<size_t>(matrix.row_offsets[r]); e < static_cast<size_t>(matrix.row_offsets[r + 1]); ++e) {
    visit(matrix.columns[e], matrix.values.empty() ? 1.0 : static_cast<double>(matrix.values[e]));
  }
}

}  // namespace

Sums spgemm(const test::HostCsr& left, const test::HostCsr* right, const std::vector<int32_t>& ids,
            const std::vector<float>& column_bias) {
  const int64_t n_columns = right ? right->n_columns : left.n_columns;
  Sums out(static_cast<int64_t>(ids.size()) * n_columns);
  for (size_t r = 0; r < ids.size(); ++r) {
    const int64_t first = static_cast<int64_t>(r) * n_columns;
    for (size_t i = 0; i < column_bias.size(); ++i) {
      out.add(first + static_cast<int64_t>(i), static_cast<double>(column_bias[i]));
    }
    for_each_entry(left, ids[r], [&](int32_t inner, double weight) {
      if (!right) return out.add(first + inner, weight);
      for_each_entry(*right, inner, [&](int32_t i, double value) { out.add(first + i, weight * value); });
    });
  }
  return out;
}

BoundedRows als_solve(const test::HostCsr& rows, const std::vector<float>& targets, const std::vector<float>& items,
                      int64_t dim, double l2, double alpha) {
  Dense y(rows.n_columns, dim);
  y.values.assign(items.begin(), items.end());
  Dense all = product(transposed(y), y);
  for (int64_t i = 0; i < dim; ++i) all(i, i) += l2;
  const Dense inverse = solution(cholesky(all), identity(dim));
  const Dense back = absolute(transposed(inverse));
  BoundedRows out;
  for (int32_t r = 0; r < rows.n_rows(); ++r) {
    const int64_t n = rows.row_offsets[static_cast<size_t>(r) + 1] - rows.row_offsets[static_cast<size_t>(r)];
    Dense system = all, right(dim, 1), v(n, dim), h(n, 1);
    int64_t e = 0;
    for_each_entry(rows, r, [&](int32_t column, double weight) {
      const double d = alpha * weight;
      const auto place = static_cast<size_t>(rows.row_offsets[static_cast<size_t>(r)] + e);
      const double target = targets.empty() ? 1.0 : static_cast<double>(targets[place]);
      h(e, 0) = target * (1.0 + d) / std::sqrt(d);
      for (int64_t i = 0; i < dim; ++i) {
        right(i, 0) += (1.0 + d) * target * y(column, i);
        for (int64_t j = 0; j < dim; ++j) {
          system(i, j) += d * y(column, i) * y(column, j);
          v(e, i) += std::sqrt(d) * inverse(i, j) * y(column, j);
        }
      }
      ++e;
    });
    const Dense x = solution(system, right);
    Dense bound(dim, 1);
    if (n > 0) bound = product(back, als_error(v, h));
    for (int64_t i = 0; i < dim; ++i) {
      out.value.push_back(x(i, 0));
      out.bound.push_back(2.0 * (bound(i, 0) + 0x1.0p-24 * std::abs(x(i, 0))));
    }
  }
  return out;
}

}  // namespace sheaf::ref
