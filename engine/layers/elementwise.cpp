#include "engine/layers/elementwise.hpp"

#include "kernels/dense/dropout.hpp"

namespace sheaf {

void ActivationLayer::forward(Pass& pass, Tensor x, Tensor out) const {
  dense::activation(pass.context, {kind_, x.f32("activation"), out.f32("activation")});
  pass.keep(x);
  pass.keep(out);
}

void ActivationLayer::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  const Tensor out = pass.take_back(), x = pass.take_back();
  dense::activation_backward(pass.context, {kind_, x.f32("activation"), out.f32("activation"), d_out.f32("activation"),
                                            d_x.f32("activation")});
}

void DropoutLayer::drop(const Pass& pass, const Tensor& from, const Tensor& to) const {
  const MatrixView<float> x = from.f32("dropout"), y = to.f32("dropout");
  pass.context.copy(y.data, x.data, static_cast<size_t>(x.size()) * sizeof(float));
  if (pass.dropout.rate <= 0) return;
  dense::dropout(pass.context, {pass.dropout.rate, pass.dropout.key(Purpose::dropout), place_ * kRowsOfAPlace, y});
}

void DropoutLayer::forward(Pass& pass, Tensor x, Tensor out) const { drop(pass, x, out); }
void DropoutLayer::backward(Pass& pass, Tensor d_out, Tensor d_x) { drop(pass, d_out, d_x); }

}  // namespace sheaf
