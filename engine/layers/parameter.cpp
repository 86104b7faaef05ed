#include "engine/layers/parameter.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "kernels/core/philox.hpp"

namespace sheaf {

Parameter make_parameter(Context& context, std::string name, int64_t rows, int64_t cols) {
  const int64_t size = rows * cols;
  return {std::move(name),
          rows,
          cols,
          Buffer<float>::zeros(context, size),
          Buffer<float>::zeros(context, size),
          Buffer<float>::zeros(context, size)};
}

std::vector<float> normal_values(int64_t rows, int64_t cols, uint64_t seed, uint32_t table, float deviation) {
  std::vector<float> values(static_cast<size_t>(rows * cols));
  const RandomKey key{seed, Purpose::init, table};
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const Random4 draw = random4(key, static_cast<uint64_t>(r), static_cast<uint32_t>(c));
      const double u1 = 1.0 - static_cast<double>(uniform01(draw.v[0]));
      const double u2 = uniform01(draw.v[1]);
      const double z = std::sqrt(-2.0 * std::log(u1)) * std::cos(2.0 * std::numbers::pi * u2);
      values[static_cast<size_t>(r * cols + c)] = deviation * static_cast<float>(z);
    }
  }
  return values;
}

Buffer<float> copy_of(Context& context, const Buffer<float>& values) {
  Buffer<float> copy(context, values.size());
  if (!values.empty()) context.copy(copy.data(), values.data(), static_cast<size_t>(values.size()) * sizeof(float));
  return copy;
}

Buffer<int32_t> all_ids(Context& context, int64_t n) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return Buffer<int32_t>(context, ids);
}

}  // namespace sheaf
