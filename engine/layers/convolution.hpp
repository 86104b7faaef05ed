#pragma once
/// 1-D convolutions of several widths over sequences of one length, each with ReLU and pooling over the positions
/// (kernels/dense/convolution.hpp), their filters beside each other: x [n, length * channels], length vectors a row, to
/// [n, n_widths * filters].

#include "engine/layers/layer.hpp"
#include "kernels/dense/convolution.hpp"

namespace sheaf {

class Convolution final : public Layer {
 public:
  struct Shape {
    int64_t channels = 16;
    std::vector<int64_t> widths;  // each once, vectors that a filter covers
    int64_t filters = 32;         // of each width
    dense::ConvolutionPooling pooling = dense::ConvolutionPooling::max;
  };
  /// For each width w parameters `name`_w [filters, w * channels] and `name`_w_bias [1, filters]. UsageError without a
  /// width, and for one below 1 or named twice.
  Convolution(Context& context, const std::string& name, Shape shape);

  /// UsageError unless cols is a multiple of the channels and no width is longer than the sequence.
  int64_t out_cols(int64_t cols) const override;
  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;
  std::vector<Parameter*> parameters() override;
  /// Normal filters of deviation sqrt(2 / (width * channels)) (He et al., 2015), zero biases.
  void initialise(Initialiser& from) override;

  const Shape& shape() const { return shape_; }

 private:
  struct Filters {
    Parameter weight, bias;
  };
  int64_t hidden_cols(int64_t cols, const Filters& filters) const;

  std::string name_;
  Shape shape_;
  std::vector<Filters> filters_;  // one for each width
};

}  // namespace sheaf
