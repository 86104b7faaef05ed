#include "engine/layers/parameter.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/optim/adam.hpp"
#include "kernels/optim/clip.hpp"
#include "kernels/optim/one_state.hpp"

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

void begin_training(Context& context, Parameter& parameter, Optimizer optimizer, Gradient gradient) {
  const int64_t size = parameter.value.size(), states = states_of(optimizer);
  parameter.optimizer = optimizer;
  parameter.moment1 = Buffer<float>::zeros(context, states > 0 ? size : 0);
  parameter.moment2 = Buffer<float>::zeros(context, states > 1 ? size : 0);
  parameter.gradient = Buffer<float>(context, gradient == Gradient::dense ? size : 0);
}

void begin_training(Context& context, const std::vector<Parameter*>& parameters, Optimizer optimizer) {
  for (Parameter* p : parameters) begin_training(context, *p, optimizer);
}

void end_training(const std::vector<Parameter*>& parameters) {
  for (Parameter* p : parameters) {
    p->gradient = Buffer<float>();
    p->moment1 = Buffer<float>();
    p->moment2 = Buffer<float>();
  }
}

void optimizer_step(Context& context, Parameter& parameter, OptimizerParams params) {
  if (!parameter.decays) params.decoupled_decay = params.weight_decay = 0.0f;
  const VectorView<const float> gradient{parameter.gradient_matrix().data, parameter.value.size()};
  if (parameter.optimizer == Optimizer::adam) {
    optim::adam(context, {.grad = gradient,
                          .adam = params,
                          .parameters = parameter.value.view(),
                          .moment1 = parameter.moment1.view(),
                          .moment2 = parameter.moment2.view()});
  } else {
    optim::one_state(context, {.grad = gradient,
                               .optimizer = parameter.optimizer,
                               .params = params,
                               .parameters = parameter.value.view(),
                               .state = parameter.moment1.view()});
  }
}

void optimizer_steps(Context& context, const std::vector<Parameter*>& parameters, const OptimizerParams& params,
                     float clip_norm) {
  if (clip_norm > 0.0f) {
    std::vector<VectorView<float>> gradients;
    for (Parameter* p : parameters) gradients.push_back({p->gradient_matrix().data, p->value.size()});
    optim::clip(context, {.gradients = gradients, .max_norm = clip_norm});
  }
  for (Parameter* p : parameters) optimizer_step(context, *p, params);
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
