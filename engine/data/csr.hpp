#pragma once
/// Sparse matrices of the engine: built on the host once, kept on the device.

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/core/buffer.hpp"
#include "kernels/core/view.hpp"

namespace sheaf {

/// Columns ascend and are unique within a row.
struct HostCsr {
  std::vector<int64_t> row_offsets{0};  // [n_rows + 1]
  std::vector<int32_t> columns;         // [nnz]
  std::vector<float> values;            // [nnz], or empty for a pattern
  int64_t n_columns = 0;

  int64_t n_rows() const { return static_cast<int64_t>(row_offsets.size()) - 1; }
  int64_t nnz() const { return static_cast<int64_t>(columns.size()); }
  std::span<const int32_t> row(int64_t r) const {
    return std::span(columns).subspan(
        static_cast<size_t>(row_offsets[static_cast<size_t>(r)]),
        static_cast<size_t>(row_offsets[static_cast<size_t>(r) + 1] - row_offsets[static_cast<size_t>(r)]));
  }
  bool contains(int64_t r, int32_t column) const;
};

/// Unique (row, column) pairs. With weights (one a pair) the values are their sums, added in the given order; without,
/// a pattern.
HostCsr csr_from_pairs(std::span<const int32_t> rows, std::span<const int32_t> columns, std::span<const float> weights,
                       int64_t n_rows, int64_t n_columns);
/// The transpose; values are carried along.
HostCsr transpose(const HostCsr& matrix);
/// Rows [first, first + count); no rows of a matrix without rows.
HostCsr row_block(const HostCsr& matrix, int64_t first, int64_t count);
/// Row r holds the single column r: an embedding bag over it is a plain lookup.
HostCsr identity_csr(int64_t n);

/// A device copy.
class DeviceCsr {
 public:
  DeviceCsr() = default;
  DeviceCsr(Context& context, const HostCsr& host);
  CsrView view() const;
  /// Of device memory.
  int64_t bytes() const { return 8 * row_offsets_.size() + 4 * columns_.size() + 4 * values_.size(); }

 private:
  Buffer<int64_t> row_offsets_;
  Buffer<int32_t> columns_;
  Buffer<float> values_;
  int64_t n_rows_ = 0;
  int64_t n_columns_ = 0;
};

}  // namespace sheaf
