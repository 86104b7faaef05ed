#pragma once
/// Layers one after another, and the feed-forward part of a transformer.

#include "engine/layers/layer.hpp"

namespace sheaf {

class Sequential final : public Layer {
 public:
  /// UsageError without a layer.
  explicit Sequential(Layers layers);

  int64_t out_cols(int64_t cols) const override;
  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;
  std::vector<Parameter*> parameters() override;
  void initialise(Initialiser& from) override;

 private:
  Layers layers_;
};

/// W_2 max(0, W_1 x + b_1) + b_2, dim columns in and out. Parameters `name`inner [width, dim], `name`inner_bias,
/// `name`outer [dim, width], `name`outer_bias. The first values of `outer` have `outer_deviation` / sqrt(width): less
/// than 1 where the result is added to a sum.
std::unique_ptr<Layer> make_feed_forward(Context& context, const std::string& name, int64_t dim, int64_t width,
                                         float outer_deviation);

}  // namespace sheaf
