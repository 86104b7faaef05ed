#pragma once
/// out = act(x W^T + b), kernels/dense/linear.hpp; act is ReLU or nothing.

#include "engine/layers/layer.hpp"

namespace sheaf {

class Linear final : public Layer {
 public:
  struct Options {
    bool relu = false;
    float deviation = 1.0f;  // of the first weights, in units of 1 / sqrt(n_in)
  };
  /// Parameters `name` [n_out, n_in] and `name`_bias [1, n_out].
  Linear(Context& context, const std::string& name, int64_t n_in, int64_t n_out, Options options);
  Linear(Context& context, const std::string& name, int64_t n_in, int64_t n_out)
      : Linear(context, name, n_in, n_out, Options{}) {}

  /// UsageError unless cols is n_in.
  int64_t out_cols(int64_t cols) const override;
  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;
  std::vector<Parameter*> parameters() override { return {&weight, &bias}; }
  /// Normal weights, zero biases.
  void initialise(Initialiser& from) override;

  Parameter weight;  // [n_out, n_in]
  Parameter bias;    // [1, n_out]

 private:
  Options options_;
};

}  // namespace sheaf
