#pragma once
/// What a model learns.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/buffer.hpp"

namespace sheaf {

/// A parameter table with its Adam moments.
struct Parameter {
  std::string name;
  int64_t rows = 0;
  int64_t cols = 0;
  Buffer<float> value;    // [rows, cols] f32
  Buffer<float> moment1;  // [rows, cols] f32
  Buffer<float> moment2;  // [rows, cols] f32

  MatrixView<float> matrix() { return value.matrix(rows, cols); }
  MatrixView<const float> matrix() const { return value.matrix(rows, cols); }
};

/// All zeros.
Parameter make_parameter(Context& context, std::string name, int64_t rows, int64_t cols);

/// Normal with the given deviation: Box and Muller's transform of two uniform draws a value, keyed by (seed, table, row, column).
std::vector<float> normal_values(int64_t rows, int64_t cols, uint64_t seed, uint32_t table, float deviation);

/// On the device.
Buffer<float> copy_of(Context& context, const Buffer<float>& values);

/// 0, 1, .. n - 1 on the device.
Buffer<int32_t> all_ids(Context& context, int64_t n);

}  // namespace sheaf
