#include "engine/layers/recurrent_layer.hpp"

#include <algorithm>
#include <cmath>

namespace sheaf {
namespace {

constexpr float kGateDeviation = 0.3f;  // of the first weights of the gates, in units of 1 / sqrt(inputs)
constexpr float kSlow = 4.0f;           // where the gate of the state before begins: it keeps 98 % of it each step
// Blocks of both cells: the candidate n or g; the gate of the state before, z or f.
constexpr int64_t kCandidate = 2, kSlowGate = 1;

}  // namespace

RecurrentLayer::RecurrentLayer(Context& context, const std::string& name, recurrent::Cell cell, int64_t n_in,
                               int64_t dim)
    : cell_(cell),
      input_(context, name + "input", n_in, recurrent::n_gates(cell) * dim),
      weight_(make_parameter(context, name + "recurrent", recurrent::n_gates(cell) * dim, dim)),
      bias_(make_parameter(context, name + "recurrent_bias", 1, cell == recurrent::Cell::gru ? dim : 0, false)) {}

int64_t RecurrentLayer::out_cols(int64_t cols) const {
  input_.out_cols(cols);
  return weight_.cols;
}

recurrent::Shape RecurrentLayer::shape(const Pass& pass) const {
  return {cell_, pass.sequences.offsets, pass.sequences.order};
}

void RecurrentLayer::forward(Pass& pass, Tensor x, Tensor out) const {
  const MatrixView<float> gates = pass.take(x.rows, input_.weight.rows);
  const MatrixView<float> kept = pass.take(x.rows, recurrent::n_kept(cell_) * weight_.cols);
  const MatrixView<float> states = out.f32("recurrent");
  input_.forward(pass, x, gates);
  recurrent::recurrent(
      pass.context,
      {.shape = shape(pass), .x = gates, .weight = weight_.matrix(), .bias = bias(), .kept = kept, .out = states});
  pass.keep(kept);
  pass.keep(out);
}

void RecurrentLayer::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  const MatrixView<float> out = pass.take_back().f32("recurrent"), kept = pass.take_back().f32("recurrent");
  ScratchScope scratch(pass.context);
  const MatrixView<float> d_gates{scratch.take<float>(d_out.rows * input_.weight.rows), d_out.rows, input_.weight.rows};
  recurrent::recurrent_backward(pass.context, {.shape = shape(pass),
                                               .weight = weight_.matrix(),
                                               .kept = kept,
                                               .out = out,
                                               .d_out = d_out.f32("recurrent"),
                                               .d_x = d_gates,
                                               .d_weight = weight_.gradient_matrix(),
                                               .d_bias = {bias_.gradient_matrix().data, bias_.cols}});
  input_.backward(pass, d_gates, d_x);
}

std::vector<Parameter*> RecurrentLayer::parameters() {
  std::vector<Parameter*> all{&input_.weight, &input_.bias, &weight_};
  if (bias_.cols > 0) all.push_back(&bias_);
  return all;
}

void RecurrentLayer::initialise(Initialiser& from) {
  const bool gru = cell_ == recurrent::Cell::gru;
  const int64_t dim = weight_.cols, n_in = input_.weight.cols;
  const auto drawn = [&](const Parameter& parameter) {
    const float deviation = kGateDeviation / std::sqrt(static_cast<float>(parameter.cols));
    std::vector<float> values = normal_values(parameter.rows, parameter.cols, from.seed, from.next_table++, deviation);
    const auto candidate = values.begin() + kCandidate * dim * parameter.cols;
    std::fill_n(candidate, dim * parameter.cols, 0.0f);
    return values;
  };
  std::vector<float> input = drawn(input_.weight), bias(static_cast<size_t>(input_.bias.cols), 0.0f);
  for (int64_t c = 0; c < std::min(dim, n_in); ++c) {
    input[static_cast<size_t>((kCandidate * dim + c) * n_in + c)] = 1.0f;
  }
  std::fill_n(bias.begin() + kSlowGate * dim, dim, kSlow);
  if (!gru) std::fill_n(bias.begin(), dim, -kSlow);  // sigma(-v) = 1 - sigma(v): the input gate is what is forgotten
  input_.weight.value.assign(input);
  input_.bias.value.assign(bias);
  ++from.next_table;
  weight_.value.assign(drawn(weight_));
  if (gru) bias_.value.fill_bytes(0);
  from.next_table += gru ? 1 : 0;
}

}  // namespace sheaf
