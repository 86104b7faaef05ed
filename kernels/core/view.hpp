#pragma once
/// Non-owning views over device (or host) memory: plain data, passed to kernels by value.
/// A view never says where its memory lives. The Context of the call does.

#include <cstdint>
#include <type_traits>

#include "kernels/core/hd.hpp"

namespace sheaf {

template <class T>
struct VectorView {
  T* data = nullptr;
  int64_t size = 0;

  SHEAF_HD T& operator[](int64_t i) const { return data[i]; }
  SHEAF_HD T* begin() const { return data; }
  SHEAF_HD T* end() const { return data + size; }
  SHEAF_HD bool empty() const { return size == 0; }
  SHEAF_HD VectorView subview(int64_t first, int64_t count) const { return {data + first, count}; }
  template <class U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) SHEAF_HD operator VectorView<U>() const {
    return {data, size};
  }
};

/// Row-major and contiguous: element (r, c) is data[r * cols + c].
template <class T>
struct MatrixView {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;

  SHEAF_HD T* row(int64_t r) const { return data + r * cols; }
  SHEAF_HD T& operator()(int64_t r, int64_t c) const { return data[r * cols + c]; }
  SHEAF_HD int64_t size() const { return rows * cols; }
  SHEAF_HD bool empty() const { return size() == 0; }
  SHEAF_HD MatrixView row_block(int64_t first, int64_t count) const { return {data + first * cols, count, cols}; }
  template <class U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) SHEAF_HD operator MatrixView<U>() const {
    return {data, rows, cols};
  }
};

/// Compressed sparse rows. Columns are ascending and unique within a row unless an op says otherwise.
struct CsrView {
  const int64_t* row_offsets = nullptr;  // [n_rows + 1], row_offsets[0] == 0
  const int32_t* columns = nullptr;      // [nnz]
  const float* values = nullptr;         // [nnz], or null for an all-ones pattern
  int64_t n_rows = 0;
  int64_t n_columns = 0;
  int64_t nnz = 0;

  SHEAF_HD int64_t row_size(int64_t r) const { return row_offsets[r + 1] - row_offsets[r]; }
};

}  // namespace sheaf
