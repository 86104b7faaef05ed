#include "engine/layers/parameter.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/optim/adam.hpp"

namespace sheaf {

Parameter make_parameter(Context& context, std::string name, int64_t rows, int64_t cols, bool decays) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.rows = rows;
  parameter.cols = cols;
  parameter.decays = decays;
  parameter.value = Buffer<float>::zeros(context, rows * cols);
  return parameter;
}

MatrixView<float> Parameter::gradient_matrix() {
  if (gradient.size() != rows * cols) {
    throw UsageError("the parameter " + name + " has no gradient", "call begin_training() before a backward pass");
  }
  return gradient.matrix(rows, cols);
}

void begin_training(Context& context, Parameter& parameter, Gradient gradient) {
  const int64_t size = parameter.value.size();
  parameter.moment1 = Buffer<float>::zeros(context, size);
  parameter.moment2 = Buffer<float>::zeros(context, size);
  parameter.gradient = Buffer<float>(context, gradient == Gradient::dense ? size : 0);
}

void begin_training(Context& context, const std::vector<Parameter*>& parameters) {
  for (Parameter* p : parameters) begin_training(context, *p);
}

void adam_step(Context& context, Parameter& parameter, OptimizerParams adam) {
  if (!parameter.decays) adam.decoupled_decay = 0.0f;
  optim::adam(context, {.grad = {parameter.gradient_matrix().data, parameter.value.size()},
                        .adam = adam,
                        .parameters = parameter.value.view(),
                        .moment1 = parameter.moment1.view(),
                        .moment2 = parameter.moment2.view()});
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
