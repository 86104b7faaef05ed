#include "engine/layers/pair_scores.hpp"

#include "kernels/dense/additive_scores.hpp"
#include "kernels/dense/dot_scores.hpp"

namespace sheaf {
namespace {

VectorView<float> gradient_of(Parameter& parameter) {
  return {parameter.gradient_matrix().data, parameter.value.size()};
}

}  // namespace

void DotScores::forward(Pass& pass, const PairVectors& x, VectorView<const float> user_bias,
                        VectorView<const float> item_bias, MatrixView<float> logits) const {
  dense::dot_scores(pass.context, {x.users, x.items, user_bias, item_bias, bias_.value.view(), logits});
}

void DotScores::backward(Pass& pass, const PairVectors& x, MatrixView<const float> d_logits, const PairVectors& d_x,
                         VectorView<float> d_user_bias) {
  dense::dot_scores_backward(pass.context,
                             {x.users, x.items, d_logits, d_x.users, d_x.items, d_user_bias, gradient_of(bias_)});
}

void AdditiveScores::forward(Pass& pass, const PairVectors& x, MatrixView<float> logits) const {
  dense::additive_scores(pass.context,
                         {x.users, x.items, w_user_.value.view(), w_item_.value.view(), bias_.value.view(), logits});
}

void AdditiveScores::backward(Pass& pass, const PairVectors& x, MatrixView<const float> d_logits,
                              const PairVectors& d_x) {
  dense::additive_scores_backward(
      pass.context, {x.users, x.items, w_user_.value.view(), w_item_.value.view(), d_logits, d_x.users, d_x.items,
                     gradient_of(w_user_), gradient_of(w_item_), gradient_of(bias_)});
}

}  // namespace sheaf
