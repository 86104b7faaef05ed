#pragma once
/// Causal attention of several heads inside packed sequences, kernels/attention/attention.hpp.

#include "engine/layers/layer.hpp"
#include "engine/layers/linear.hpp"
#include "kernels/attention/attention.hpp"

namespace sheaf {

/// The attention alone: x [n, 3 dim] holds queries, keys and values beside each other, out is [n, dim]. Any element
/// type; out has that of x. Scores are scaled by 1 / sqrt(dim / heads); the pass's dropout is for the weights.
class Attention final : public Layer {
 public:
  /// `place`: number of this attention in its model, so that no two draw the same dropout.
  Attention(int64_t heads, int64_t place) : heads_(heads), place_(place) {}

  /// UsageError unless cols is three times a multiple of the heads.
  int64_t out_cols(int64_t cols) const override;
  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;

 private:
  attention::Shape shape(const Pass& pass, const Tensor& out) const;

  int64_t heads_;
  int64_t place_;
};

/// W_o attention(W_qkv x + b_qkv) + b_o, dim columns in and out.
class SelfAttention final : public Layer {
 public:
  /// Parameters `name`qkv, `name`qkv_bias, `name`out, `name`out_bias.
  SelfAttention(Context& context, const std::string& name, int64_t dim, int64_t heads, int64_t place);

  int64_t out_cols(int64_t cols) const override { return out_.out_cols(cols); }
  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;
  std::vector<Parameter*> parameters() override;
  /// Small queries and keys, so that it begins as a mean over the sequence; values and output begin as the identity.
  void initialise(Initialiser& from) override;

 private:
  Linear qkv_;
  Attention attention_;
  Linear out_;
};

}  // namespace sheaf
