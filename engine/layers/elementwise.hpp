#pragma once
/// Layers that look at one number at a time.

#include "engine/layers/layer.hpp"
#include "kernels/dense/activation.hpp"

namespace sheaf {

/// ReLU, sigmoid, tanh or GELU: kernels/dense/activation.hpp. A ReLU right behind a Linear is cheaper as that layer's
/// option.
class ActivationLayer final : public Layer {
 public:
  explicit ActivationLayer(dense::Activation kind) : kind_(kind) {}
  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;

 private:
  dense::Activation kind_;
};

/// Inverted dropout at the pass's rate (kernels/dense/dropout.hpp); a rate of 0 copies.
class DropoutLayer final : public Layer {
 public:
  /// `place`: its number in the model among all layers that draw, so that no two draw the same.
  explicit DropoutLayer(int64_t place) : place_(place) {}
  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;

 private:
  void drop(const Pass& pass, const Tensor& from, const Tensor& to) const;
  int64_t place_;
};

}  // namespace sheaf
