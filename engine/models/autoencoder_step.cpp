#include "engine/models/autoencoder_step.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "engine/layers/elementwise.hpp"
#include "engine/layers/linear.hpp"
#include "engine/train/softmax_epoch.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/core/range.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/loss/full_softmax.hpp"

namespace sheaf {
namespace {

constexpr float kFirstDeviation = 0.3f;             // of the input's weights
constexpr float kOutputShare = 0.3f;                // of the input's weights, with which the output begins
constexpr int64_t kRowsEncoded = int64_t{1} << 14;  // in one go

/// The layers behind the first product: its activation, then the other widths and back to the first.
Sequential make_inner(Context& context, const AutoencoderShape& shape) {
  std::vector<int64_t> widths = shape.hidden;
  for (size_t l = shape.hidden.size(); l > 1; --l) widths.push_back(shape.hidden[l - 2]);
  const bool relu = shape.activation == dense::Activation::relu;
  Layers layers;
  layers.push_back(std::make_unique<ActivationLayer>(shape.activation));
  for (size_t l = 1; l < widths.size(); ++l) {
    layers.push_back(std::make_unique<Linear>(context, "layer_" + std::to_string(l), widths[l - 1], widths[l],
                                              Linear::Options{.relu = relu, .deviation = relu ? 1.4f : 1.0f}));
    if (!relu) layers.push_back(std::make_unique<ActivationLayer>(shape.activation));
  }
  return Sequential(std::move(layers));
}

int64_t first_width(const AutoencoderShape& shape) {
  if (shape.n_items <= 0) {
    throw DataError("an autoencoder needs at least one item",
                    "check the cleaning report of the import: it may have dropped everything");
  }
  if (shape.hidden.empty()) throw UsageError("an autoencoder without a hidden layer", "give it a width");
  return shape.hidden.front();
}

}  // namespace

HostCsr with_unit_rows(HostCsr rows) {
  for (int64_t r = 0; r < rows.n_rows(); ++r) {
    const auto begin = rows.values.begin() + rows.row_offsets[static_cast<size_t>(r)];
    const auto end = rows.values.begin() + rows.row_offsets[static_cast<size_t>(r) + 1];
    double squares = 0.0;
    for (auto w = begin; w != end; ++w) squares += static_cast<double>(*w) * static_cast<double>(*w);
    if (squares <= 0.0) continue;
    const auto scale = static_cast<float>(1.0 / std::sqrt(squares));
    for (auto w = begin; w != end; ++w) *w *= scale;
  }
  return rows;
}

HostCsr rows_at(const HostCsr& rows, const std::vector<int32_t>& row_numbers) {
  HostCsr some;
  some.n_columns = rows.n_columns;
  for (const int32_t r : row_numbers) {
    const auto begin = rows.row_offsets[static_cast<size_t>(r)], end = rows.row_offsets[static_cast<size_t>(r) + 1];
    some.columns.insert(some.columns.end(), rows.columns.begin() + begin, rows.columns.begin() + end);
    if (!rows.values.empty()) {
      some.values.insert(some.values.end(), rows.values.begin() + begin, rows.values.begin() + end);
    }
    some.row_offsets.push_back(some.nnz());
  }
  return some;
}

HostCsr with_noise(const HostCsr& rows, const std::vector<int32_t>& row_numbers, double share, uint64_t seed,
                   uint32_t epoch) {
  if (share <= 0.0) return rows;
  const RandomKey key{seed, Purpose::dropout, epoch};
  const auto rest = static_cast<float>(1.0 / (1.0 - share));
  HostCsr kept;
  kept.n_columns = rows.n_columns;
  for (int64_t r = 0; r < rows.n_rows(); ++r) {
    const auto number = static_cast<uint64_t>(row_numbers[static_cast<size_t>(r)]);
    for (auto e = static_cast<size_t>(rows.row_offsets[static_cast<size_t>(r)]);
         e < static_cast<size_t>(rows.row_offsets[static_cast<size_t>(r) + 1]); ++e) {
      const auto column = static_cast<uint32_t>(rows.columns[e]);
      if (static_cast<double>(uniform01(random_u32(key, number, column))) < share) continue;
      kept.columns.push_back(rows.columns[e]);
      kept.values.push_back(rows.values[e] * rest);
    }
    kept.row_offsets.push_back(kept.nnz());
  }
  return kept;
}

SparseRows::SparseRows(Context& context, const HostCsr& rows, bool with_backward)
    : items_(context, rows, with_backward),
      biases_(context, rows_of(std::vector<int32_t>(static_cast<size_t>(rows.n_rows()), 0), 1), with_backward) {}

AutoencoderNet::AutoencoderNet(Context& context, const AutoencoderShape& shape)
    : input(make_parameter(context, "input", shape.n_items, first_width(shape))),
      input_bias(make_parameter(context, "input_bias", 1, input.cols, false)),
      output(make_parameter(context, "output", shape.n_items, input.cols)),
      output_bias(make_parameter(context, "output_bias", shape.n_items, 1, false)),
      inner_(make_inner(context, shape)) {}

void AutoencoderNet::initialise(uint64_t seed, const HostCsr& train_items) {
  Initialiser from{.seed = seed};
  const std::vector<float> first = normal_values(input.rows, input.cols, seed, from.next_table++, kFirstDeviation);
  input.value.assign(first);
  std::vector<float> last = first;
  for (float& v : last) v *= kOutputShare;
  output.value.assign(last);
  output_bias.value.assign(log_popularity(train_items, output_bias.rows));
  inner_.initialise(from);
}

void AutoencoderNet::forward(Pass& pass, const SparseRows& x, MatrixView<float> states) const {
  const MatrixView<float> sums = pass.take(x.n(), width()), bias = pass.take(x.n(), width());
  x.items_.forward(pass.context, input.matrix(), sums);
  x.biases_.forward(pass.context, input_bias.matrix(), bias);
  dense::scaled_add(pass.context, {.x = bias, .out = sums});
  inner_.forward(pass, sums, states);
}

void AutoencoderNet::backward(Pass& pass, const SparseRows& x, MatrixView<float> d_states) {
  const MatrixView<float> d_sums = pass.take(x.n(), width());
  inner_.backward(pass, d_states, d_sums);
  x.items_.backward(pass.context, d_sums, input.gradient_matrix());
  x.biases_.backward(pass.context, d_sums, input_bias.gradient_matrix());
}

void AutoencoderNet::encode(Context& context, const HostCsr& rows, MatrixView<float> states) const {
  for (int64_t first = 0; first < rows.n_rows(); first += kRowsEncoded) {
    check_interrupt("the encoding of purchases");
    const int64_t n = std::min(kRowsEncoded, rows.n_rows() - first);
    const SparseRows x(context, row_block(rows, first, n), false);
    {
      ScratchScope scratch(context);
      Pass pass(context, scratch);
      forward(pass, x, states.row_block(first, n));
    }
    context.synchronize();  // `x` ends here
  }
}

std::vector<Parameter*> AutoencoderNet::parameters() {
  std::vector<Parameter*> all{&input, &input_bias};
  for (Parameter* p : inner_.parameters()) all.push_back(p);
  all.push_back(&output);
  all.push_back(&output_bias);
  return all;
}

AutoencoderStep::AutoencoderStep(Context& context, AutoencoderNet& net, const TrainParams& params)
    : context_(context), net_(net), params_(params) {
  params_.rare_power = 0.0f;  // a batch does not know the counts of items
  begin_training(context, net.parameters(), params.rule.optimizer);
}

void AutoencoderStep::differentiate(const AutoencoderBatch& batch, uint32_t round, VectorView<double> loss) {
  const Range range("training step");
  const int64_t n = batch.x.n_rows(), n_items = net_.n_items();
  const SparseRows x(context_, batch.x, true);
  const DeviceCsr targets(context_, batch.targets);
  {
    ScratchScope scratch(context_);
    Pass pass(context_, scratch);
    const MatrixView<float> states = pass.take(n, net_.width()), d_states = pass.take(n, net_.width());
    net_.forward(pass, x, states);
    const PairSides of{states, net_.output.matrix(), net_.output_bias.value.view()};
    const PairGradients to{d_states, net_.output.gradient_matrix(), {net_.output_bias.gradient_matrix().data, n_items}};
    if (params_.loss == LossKind::softmax) {
      loss::full_softmax(context_, {.users = of.users,
                                    .items = of.items,
                                    .item_bias = of.item_bias,
                                    .targets = targets.view(),
                                    .scale = 1.0f / static_cast<float>(n),
                                    .d_users = to.users,
                                    .d_items = to.items,
                                    .d_item_bias = to.item_bias,
                                    .loss = loss});
    } else {
      const Positives positives(context_, batch.targets, params_);
      pair_loss(context_, positives, params_, {round, 0, positives.n}, of, to, loss);
      context_.synchronize();  // `positives` ends here
    }
    net_.backward(pass, x, d_states);
  }
  context_.synchronize();  // `x` and `targets` end here
}

void AutoencoderStep::update(const OptimizerParams& by) {
  optimizer_steps(context_, net_.parameters(), by, params_.rule.clip_norm);
}

}  // namespace sheaf
