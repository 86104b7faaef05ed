#pragma once
/// What passes between layers: a matrix on the device that knows its element type.

#include <cstdint>

#include "kernels/core/half.hpp"
#include "kernels/core/view.hpp"

namespace sheaf {

/// A view: it owns nothing. Row-major and contiguous, [rows, cols] of `type`.
struct Tensor {
  Tensor() = default;
  Tensor(void* values, int64_t n_rows, int64_t n_cols, Element element)
      : data(values), rows(n_rows), cols(n_cols), type(element) {}
  Tensor(MatrixView<float> matrix) : Tensor(matrix.data, matrix.rows, matrix.cols, Element::f32) {}

  int64_t size() const { return rows * cols; }
  /// UsageError that names `layer` unless the type is f32.
  MatrixView<float> f32(const char* layer) const;

  void* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  Element type = Element::f32;
};

const char* to_string(Element element);

}  // namespace sheaf
