#pragma once
/// sum = residual + dropout(x), normed = layer norm of sum: kernels/dense/residual_norm.hpp. It has two inputs and two
/// outputs, so it is no Layer; PreNorm is the layer made of it.

#include "engine/layers/layer.hpp"

namespace sheaf {

class ResidualNorm {
 public:
  /// Parameters `name`.weight and `name`.bias [1, dim]. `place`: its number in the model, so that no two draw the same
  /// dropout.
  ResidualNorm(Context& context, const std::string& name, int64_t dim, int64_t place);

  /// An empty residual stands for zeros. sum may be residual; normed aliases nothing.
  void forward(Pass& pass, MatrixView<const float> x, MatrixView<const float> residual, MatrixView<float> sum,
               MatrixView<float> normed) const;
  /// d_sum holds what reaches the sum by another path (`has_d_sum`), and becomes the gradient of the residual; d_x that
  /// of x.
  void backward(Pass& pass, MatrixView<const float> d_normed, bool has_d_sum, MatrixView<float> d_sum,
                MatrixView<float> d_x);

  Parameter weight;  // [1, dim], begins at 1
  Parameter bias;    // [1, dim], begins at 0

 private:
  int64_t first_row() const;
  int64_t place_;
};

/// Branches one after another, each on the norm of the running sum and added to it (Xiong et al., "On layer
/// normalization in the transformer architecture", 2020):
///
///   s = dropout(x);   for each branch f: s += dropout(f(norm(s)));   out = norm(s)
///
/// with a norm of its own before each branch and at the end. Rows keep their number of columns.
class PreNorm final : public Layer {
 public:
  /// Norms are called norm.0, norm.1, ..
  PreNorm(Context& context, int64_t dim, Layers branches);

  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;
  /// Those of the branches, then those of the norms.
  std::vector<Parameter*> parameters() override;
  void initialise(Initialiser& from) override;

 private:
  Layers branches_;
  std::vector<ResidualNorm> norms_;  // one more than branches
};

}  // namespace sheaf
