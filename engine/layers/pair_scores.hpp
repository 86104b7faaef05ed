#pragma once
/// How likely a user takes an item, from the vectors of both; user b against its own group of items. Two inputs, so no
/// Layer.
///
///   DotScores       logits[b, g] = users[b] . items[b group + g] + user_bias[b] + item_bias[b group + g] + bias
///   AdditiveScores  logits[b, g] = w_user . users[b] + w_item . items[b group + g] + bias
///
/// The losses of such logits are the ops loss::bce and loss::bpr, that of scores over the whole catalog is
/// loss::full_softmax: each gives the loss and its gradient in one call.

#include "engine/layers/layer.hpp"

namespace sheaf {

struct PairVectors {
  MatrixView<float> users;  // [n_batch, dim]
  MatrixView<float> items;  // [n_batch * group, dim]
};

class DotScores {
 public:
  /// `bias` [1, 1] is the caller's.
  explicit DotScores(Parameter& bias) : bias_(bias) {}

  void forward(Pass& pass, const PairVectors& x, VectorView<const float> user_bias, VectorView<const float> item_bias,
               MatrixView<float> logits) const;
  /// d_logits is the gradient of the items' biases, too.
  void backward(Pass& pass, const PairVectors& x, MatrixView<const float> d_logits, const PairVectors& d_x,
                VectorView<float> d_user_bias);

 private:
  Parameter& bias_;
};

class AdditiveScores {
 public:
  /// w_user and w_item [1, dim], bias [1, 1].
  AdditiveScores(Parameter& w_user, Parameter& w_item, Parameter& bias)
      : w_user_(w_user), w_item_(w_item), bias_(bias) {}

  void forward(Pass& pass, const PairVectors& x, MatrixView<float> logits) const;
  void backward(Pass& pass, const PairVectors& x, MatrixView<const float> d_logits, const PairVectors& d_x);

 private:
  Parameter& w_user_;
  Parameter& w_item_;
  Parameter& bias_;
};

}  // namespace sheaf
