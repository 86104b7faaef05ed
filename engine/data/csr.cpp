#include "engine/data/csr.hpp"

#include <algorithm>
#include <numeric>

#include "kernels/core/interrupt.hpp"

namespace sheaf {

bool HostCsr::contains(int64_t r, int32_t column) const {
  const auto entries = row(r);
  return std::binary_search(entries.begin(), entries.end(), column);
}

HostCsr csr_from_pairs(std::span<const int32_t> rows, std::span<const int32_t> columns, std::span<const float> weights,
                       int64_t n_rows, int64_t n_columns) {
  // Counting sort by row, then a stable sort by column within each row.
  std::vector<int64_t> start(static_cast<size_t>(n_rows) + 1, 0);
  for (const int32_t r : rows) ++start[static_cast<size_t>(r) + 1];
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<int64_t> order(columns.size());
  std::vector<int64_t> next(start.begin(), start.end() - 1);
  for (size_t i = 0; i < rows.size(); ++i)
    order[static_cast<size_t>(next[static_cast<size_t>(rows[i])]++)] = static_cast<int64_t>(i);

  HostCsr csr;
  csr.n_columns = n_columns;
  csr.row_offsets.reserve(static_cast<size_t>(n_rows) + 1);
  const auto column_of = [&](int64_t i) { return columns[static_cast<size_t>(i)]; };
  for (int64_t r = 0; r < n_rows; ++r) {
    check_interrupt();
    const auto begin = order.begin() + start[static_cast<size_t>(r)];
    const auto end = order.begin() + start[static_cast<size_t>(r) + 1];
    std::ranges::stable_sort(begin, end, {}, column_of);
    for (auto it = begin; it != end;) {
      const int32_t column = column_of(*it);
      double sum = 0;
      for (; it != end && column_of(*it) == column; ++it) {
        if (!weights.empty()) sum += static_cast<double>(weights[static_cast<size_t>(*it)]);
      }
      csr.columns.push_back(column);
      if (!weights.empty()) csr.values.push_back(static_cast<float>(sum));
    }
    csr.row_offsets.push_back(csr.nnz());
  }
  return csr;
}

HostCsr transpose(const HostCsr& matrix) {
  HostCsr result;
  result.n_columns = matrix.n_rows();
  std::vector<int64_t> offsets(static_cast<size_t>(matrix.n_columns) + 1, 0);
  for (const int32_t c : matrix.columns) ++offsets[static_cast<size_t>(c) + 1];
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  result.columns.resize(matrix.columns.size());
  result.values.resize(matrix.values.size());
  std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
  for (int64_t r = 0; r < matrix.n_rows(); ++r) {
    check_interrupt();
    for (int64_t e = matrix.row_offsets[static_cast<size_t>(r)]; e < matrix.row_offsets[static_cast<size_t>(r) + 1];
         ++e) {
      const auto to = static_cast<size_t>(next[static_cast<size_t>(matrix.columns[static_cast<size_t>(e)])]++);
      result.columns[to] = static_cast<int32_t>(r);
      if (!matrix.values.empty()) result.values[to] = matrix.values[static_cast<size_t>(e)];
    }
  }
  result.row_offsets = std::move(offsets);
  return result;
}

HostCsr row_block(const HostCsr& matrix, int64_t first, int64_t count) {
  if (matrix.n_rows() == 0) return matrix;
  HostCsr block;
  block.n_columns = matrix.n_columns;
  const auto from = matrix.row_offsets.begin() + first;
  const int64_t begin = *from, end = from[count];
  block.row_offsets.assign(from, from + count + 1);
  for (int64_t& offset : block.row_offsets) offset -= begin;
  block.columns.assign(matrix.columns.begin() + begin, matrix.columns.begin() + end);
  if (!matrix.values.empty()) block.values.assign(matrix.values.begin() + begin, matrix.values.begin() + end);
  return block;
}

HostCsr identity_csr(int64_t n) {
  HostCsr csr;
  csr.n_columns = n;
  csr.row_offsets.resize(static_cast<size_t>(n) + 1);
  csr.columns.resize(static_cast<size_t>(n));
  std::iota(csr.row_offsets.begin(), csr.row_offsets.end(), int64_t{0});
  std::iota(csr.columns.begin(), csr.columns.end(), 0);
  return csr;
}

DeviceCsr::DeviceCsr(Context& context, const HostCsr& host)
    : row_offsets_(context, host.row_offsets),
      columns_(context, host.columns),
      values_(context, host.values),
      n_rows_(host.n_rows()),
      n_columns_(host.n_columns) {}

CsrView DeviceCsr::view() const {
  return {row_offsets_.data(), columns_.data(), values_.empty() ? nullptr : values_.data(), n_rows_,
          n_columns_,          columns_.size()};
}

}  // namespace sheaf
