#include "engine/layers/linear.hpp"

#include <cmath>

#include "kernels/core/error.hpp"
#include "kernels/dense/linear.hpp"

namespace sheaf {

Linear::Linear(Context& context, const std::string& name, int64_t n_in, int64_t n_out, Options options)
    : weight(make_parameter(context, name, n_out, n_in)),
      bias(make_parameter(context, name + "_bias", 1, n_out, false)),
      options_(options) {}

int64_t Linear::out_cols(int64_t cols) const {
  if (cols != weight.cols) {
    throw UsageError(
        "the layer " + weight.name + " takes " + std::to_string(weight.cols) + " columns, not " + std::to_string(cols),
        "give it what the layer before it makes");
  }
  return weight.rows;
}

void Linear::forward(Pass& pass, Tensor x, Tensor out) const {
  const MatrixView<float> to = out.f32("linear");
  dense::linear(pass.context, {x.f32("linear"), weight.matrix(), bias.value.view(), options_.relu, to});
  pass.keep(x);
  pass.keep(out);
}

void Linear::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  const Tensor out = pass.take_back(), x = pass.take_back();
  dense::linear_backward(pass.context, {.x = x.f32("linear"),
                                        .weight = weight.matrix(),
                                        .relu = options_.relu,
                                        .out = options_.relu ? out.f32("linear") : MatrixView<float>{},
                                        .d_out = d_out.f32("linear"),
                                        .d_x = d_x.f32("linear"),
                                        .d_weight = weight.gradient_matrix(),
                                        .d_bias = {bias.gradient_matrix().data, bias.cols}});
}

void Linear::initialise(Initialiser& from) {
  const float deviation = options_.deviation * (1.0f / std::sqrt(static_cast<float>(weight.cols)));
  weight.value.assign(normal_values(weight.rows, weight.cols, from.seed, from.next_table, deviation));
  from.next_table += 2;
}

}  // namespace sheaf
