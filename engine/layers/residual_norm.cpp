#include "engine/layers/residual_norm.hpp"

#include <utility>

#include "kernels/dense/residual_norm.hpp"

namespace sheaf {

ResidualNorm::ResidualNorm(Context& context, const std::string& name, int64_t dim, int64_t place)
    : weight(make_parameter(context, name + ".weight", 1, dim, false)),
      bias(make_parameter(context, name + ".bias", 1, dim, false)),
      place_(place) {
  weight.value.assign(std::vector<float>(static_cast<size_t>(dim), 1.0f));
}

int64_t ResidualNorm::first_row() const { return place_ * kRowsOfAPlace; }

void ResidualNorm::forward(Pass& pass, MatrixView<const float> x, MatrixView<const float> residual,
                           MatrixView<float> sum, MatrixView<float> normed) const {
  const MatrixView<float> moments = pass.take(x.rows, 2);
  dense::residual_norm(pass.context, {.x = x,
                                      .residual = residual,
                                      .weight = weight.value.view(),
                                      .bias = bias.value.view(),
                                      .rate = pass.dropout.rate,
                                      .key = pass.dropout.key(Purpose::dropout),
                                      .first_row = first_row(),
                                      .sum = sum,
                                      .normed = normed,
                                      .moments = moments});
  pass.keep(sum);
  pass.keep(moments);
}

void ResidualNorm::backward(Pass& pass, MatrixView<const float> d_normed, bool has_d_sum, MatrixView<float> d_sum,
                            MatrixView<float> d_x) {
  const MatrixView<float> moments = pass.take_back().f32("norm"), sum = pass.take_back().f32("norm");
  dense::residual_norm_backward(pass.context,
                                {.sum = sum,
                                 .moments = moments,
                                 .weight = std::as_const(weight.value).view(),
                                 .d_normed = d_normed,
                                 .d_residual = has_d_sum ? MatrixView<const float>(d_sum) : MatrixView<const float>{},
                                 .rate = pass.dropout.rate,
                                 .key = pass.dropout.key(Purpose::dropout),
                                 .first_row = first_row(),
                                 .d_sum = d_sum,
                                 .d_x = d_x,
                                 .d_weight = {weight.gradient_matrix().data, weight.cols},
                                 .d_bias = {bias.gradient_matrix().data, bias.cols}});
}

PreNorm::PreNorm(Context& context, int64_t dim, Layers branches) : branches_(std::move(branches)) {
  for (size_t n = 0; n <= branches_.size(); ++n) {
    norms_.emplace_back(context, "norm." + std::to_string(n), dim, static_cast<int64_t>(n));
  }
}

void PreNorm::forward(Pass& pass, Tensor x, Tensor out) const {
  const auto take = [&] { return pass.take(x.rows, x.cols); };
  const size_t last = branches_.size();
  MatrixView<float> sum = take();
  MatrixView<float> normed = last == 0 ? out.f32("norm") : take();
  const MatrixView<float> branch = last == 0 ? MatrixView<float>{} : take();
  norms_[0].forward(pass, x.f32("norm"), {}, sum, normed);
  for (size_t b = 0; b < last; ++b) {
    branches_[b]->forward(pass, normed, branch);
    const MatrixView<float> next = take();
    normed = b + 1 == last ? out.f32("norm") : take();
    norms_[b + 1].forward(pass, branch, sum, next, normed);
    sum = next;
  }
}

void PreNorm::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  ScratchScope scratch(pass.context);
  const auto take = [&] { return MatrixView<float>{scratch.take<float>(d_x.rows * d_x.cols), d_x.rows, d_x.cols}; };
  const MatrixView<float> d_sum = take(), d_normed = take(), d_branch = take();
  MatrixView<float> from = d_out.f32("norm");
  for (size_t b = branches_.size(); b > 0; --b) {
    norms_[b].backward(pass, from, b < branches_.size(), d_sum, d_branch);
    branches_[b - 1]->backward(pass, d_branch, d_normed);
    from = d_normed;
  }
  norms_[0].backward(pass, from, !branches_.empty(), d_sum, d_x.f32("norm"));
}

std::vector<Parameter*> PreNorm::parameters() {
  std::vector<Parameter*> all;
  for (const auto& branch : branches_) {
    const std::vector<Parameter*> own = branch->parameters();
    all.insert(all.end(), own.begin(), own.end());
  }
  for (ResidualNorm& norm : norms_) all.insert(all.end(), {&norm.weight, &norm.bias});
  return all;
}

void PreNorm::initialise(Initialiser& from) {
  for (const auto& branch : branches_) branch->initialise(from);
  for (ResidualNorm& norm : norms_) {
    norm.weight.value.assign(std::vector<float>(static_cast<size_t>(norm.weight.cols), 1.0f));
    norm.bias.value.fill_bytes(0);
    from.next_table += 2;
  }
}

}  // namespace sheaf
