#include "engine/layers/convolution.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr const char* kConvolutionName = "convolution";

/// The winners of a maximum: words of a tensor that the pass keeps.
MatrixView<int32_t> winners_in(const Tensor& tensor) {
  return {static_cast<int32_t*>(tensor.data), tensor.rows, tensor.cols};
}

}  // namespace

Convolution::Convolution(Context& context, const std::string& name, Shape shape)
    : name_(name), shape_(std::move(shape)) {
  if (shape_.widths.empty()) throw UsageError("a convolution without a width", "give it at least one");
  for (const int64_t width : shape_.widths) {
    if (width < 1 || std::ranges::count(shape_.widths, width) != 1) {
      throw UsageError(
          "the convolution " + name + " has a width of " + std::to_string(width) + (width < 1 ? "" : " more than once"),
          "give it widths from 1 on, each once");
    }
    const std::string own = name + "_" + std::to_string(width);
    filters_.push_back({make_parameter(context, own, shape_.filters, width * shape_.channels),
                        make_parameter(context, own + "_bias", 1, shape_.filters, false)});
  }
}

int64_t Convolution::hidden_cols(int64_t cols, const Filters& filters) const {
  return ((cols - filters.weight.cols) / shape_.channels + 1) * shape_.filters;
}

int64_t Convolution::out_cols(int64_t cols) const {
  const int64_t widest = std::ranges::max(shape_.widths);
  if (cols % shape_.channels != 0 || cols < widest * shape_.channels) {
    throw UsageError("the convolution " + name_ + " takes sequences of vectors of " + std::to_string(shape_.channels) +
                         ", at least " + std::to_string(widest) + " of them, not " + std::to_string(cols) + " columns",
                     "give it longer sequences, or narrower filters");
  }
  return std::ssize(filters_) * shape_.filters;
}

void Convolution::forward(Pass& pass, Tensor x, Tensor out) const {
  out_cols(x.cols);
  pass.keep(x);
  for (size_t w = 0; w < filters_.size(); ++w) {
    const MatrixView<float> hidden = pass.take(x.rows, hidden_cols(x.cols, filters_[w]));
    dense::ConvolutionArgs args{.x = x.f32(kConvolutionName),
                                .channels = shape_.channels,
                                .filters = filters_[w].weight.matrix(),
                                .bias = filters_[w].bias.value.view(),
                                .pooling = shape_.pooling,
                                .hidden = hidden,
                                .first_column = static_cast<int64_t>(w) * shape_.filters,
                                .out = out.f32(kConvolutionName)};
    pass.keep(hidden);
    if (shape_.pooling == dense::ConvolutionPooling::max) {
      const Tensor winners = pass.take(x.rows, shape_.filters);
      args.winner = winners_in(winners);
      pass.keep(winners);
    }
    dense::convolution(pass.context, args);
  }
}

void Convolution::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  // Kept after x, which every width reads: the last width comes back first.
  struct Kept {
    MatrixView<float> hidden;
    MatrixView<int32_t> winner;
  };
  std::vector<Kept> kept(filters_.size());
  for (size_t w = filters_.size(); w > 0; --w) {
    if (shape_.pooling == dense::ConvolutionPooling::max) kept[w - 1].winner = winners_in(pass.take_back());
    kept[w - 1].hidden = pass.take_back().f32(kConvolutionName);
  }
  const Tensor x = pass.take_back();
  for (size_t w = 0; w < filters_.size(); ++w) {
    Filters& filters = filters_[w];
    dense::convolution_backward(pass.context, {.x = x.f32(kConvolutionName),
                                               .channels = shape_.channels,
                                               .filters = filters.weight.matrix(),
                                               .pooling = shape_.pooling,
                                               .hidden = kept[w].hidden,
                                               .winner = kept[w].winner,
                                               .first_column = static_cast<int64_t>(w) * shape_.filters,
                                               .d_out = d_out.f32(kConvolutionName),
                                               .add_to_d_x = w > 0,
                                               .d_x = d_x.f32(kConvolutionName),
                                               .d_filters = filters.weight.gradient_matrix(),
                                               .d_bias = {filters.bias.gradient_matrix().data, shape_.filters}});
  }
}

std::vector<Parameter*> Convolution::parameters() {
  std::vector<Parameter*> all;
  for (Filters& filters : filters_) all.insert(all.end(), {&filters.weight, &filters.bias});
  return all;
}

void Convolution::initialise(Initialiser& from) {
  for (Filters& filters : filters_) {
    Parameter& weight = filters.weight;
    const float deviation = std::sqrt(2.0f / static_cast<float>(weight.cols));
    weight.value.assign(normal_values(weight.rows, weight.cols, from.seed, from.next_table, deviation));
    from.next_table += 2;
  }
}

}  // namespace sheaf
