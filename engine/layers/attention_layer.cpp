#include "engine/layers/attention_layer.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr float kAttentionDeviation = 0.2f;
constexpr int64_t kSequencesOfAPlace = int64_t{1} << 24;  // numbers of sequences that one attention's dropout draws by

/// Heads that begin at column `first` of x.
template <class Data>
attention::Heads<Data> heads_at(const Tensor& x, int64_t heads, int64_t first) {
  return {static_cast<std::byte*>(x.data) + first * element_bytes(x.type), heads, x.cols};
}

}  // namespace

int64_t Attention::out_cols(int64_t cols) const {
  if (cols % (3 * heads_) != 0) {
    throw UsageError("attention of " + std::to_string(heads_) + " heads takes three times a multiple of that, not " +
                         std::to_string(cols) + " columns",
                     "choose a number of heads that divides the dimension");
  }
  return cols / 3;
}

attention::Shape Attention::shape(const Pass& pass, const Tensor& out) const {
  const int64_t head_dim = out.cols / heads_;
  return {.element = out.type,
          .n_tokens = out.rows,
          .dim = head_dim,
          .offsets = pass.sequences.offsets,
          .max_length = pass.sequences.longest,
          .order = pass.sequences.order,
          .reaching = pass.sequences.reaching,
          .causal = true,
          .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
          .dropout = pass.dropout.rate,
          .key = pass.dropout.key(Purpose::attention),
          .first_sequence = place_ * kSequencesOfAPlace};
}

void Attention::forward(Pass& pass, Tensor x, Tensor out) const {
  const MatrixView<float> log_sum_exp = pass.take(x.rows, heads_);
  attention::attention(pass.context, {.shape = shape(pass, out),
                                      .q = heads_at<const void>(x, heads_, 0),
                                      .k = heads_at<const void>(x, heads_, out.cols),
                                      .v = heads_at<const void>(x, heads_, 2 * out.cols),
                                      .out = heads_at<void>(out, heads_, 0),
                                      .log_sum_exp = log_sum_exp});
  pass.keep(x);
  pass.keep(out);
  pass.keep(log_sum_exp);
}

void Attention::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  const MatrixView<float> log_sum_exp = pass.take_back().f32("attention");
  const Tensor out = pass.take_back(), x = pass.take_back();
  attention::attention_backward(pass.context, {.shape = shape(pass, out),
                                               .q = heads_at<const void>(x, heads_, 0),
                                               .k = heads_at<const void>(x, heads_, out.cols),
                                               .v = heads_at<const void>(x, heads_, 2 * out.cols),
                                               .out = heads_at<const void>(out, heads_, 0),
                                               .d_out = heads_at<const void>(d_out, heads_, 0),
                                               .log_sum_exp = log_sum_exp,
                                               .d_q = heads_at<void>(d_x, heads_, 0),
                                               .d_k = heads_at<void>(d_x, heads_, out.cols),
                                               .d_v = heads_at<void>(d_x, heads_, 2 * out.cols)});
}

SelfAttention::SelfAttention(Context& context, const std::string& name, int64_t dim, int64_t heads, int64_t place)
    : qkv_(context, name + "qkv", dim, 3 * dim, {.deviation = kAttentionDeviation}),
      attention_(heads, place),
      out_(context, name + "out", dim, dim) {
  attention_.out_cols(3 * dim);
}

void SelfAttention::forward(Pass& pass, Tensor x, Tensor out) const {
  const Tensor qkv = pass.take(x.rows, qkv_.out_cols(x.cols)), attended = pass.take(x.rows, x.cols);
  qkv_.forward(pass, x, qkv);
  attention_.forward(pass, qkv, attended);
  out_.forward(pass, attended, out);
}

void SelfAttention::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  ScratchScope scratch(pass.context);
  const auto take = [&](int64_t cols) {
    return MatrixView<float>{scratch.take<float>(d_x.rows * cols), d_x.rows, cols};
  };
  const Tensor d_attended = take(d_x.cols), d_qkv = take(3 * d_x.cols);
  out_.backward(pass, d_out, d_attended);
  attention_.backward(pass, d_attended, d_qkv);
  qkv_.backward(pass, d_qkv, d_x);
}

std::vector<Parameter*> SelfAttention::parameters() { return {&qkv_.weight, &qkv_.bias, &out_.weight, &out_.bias}; }

void SelfAttention::initialise(Initialiser& from) {
  qkv_.initialise(from);
  const auto dim = static_cast<size_t>(out_.weight.rows);
  std::vector<float> qkv = qkv_.weight.value.to_host(), out(dim * dim, 0.0f);
  for (size_t c = 0; c < dim; ++c) {
    const size_t value_row = (2 * dim + c) * dim;
    std::fill_n(qkv.begin() + static_cast<int64_t>(value_row), dim, 0.0f);
    qkv[value_row + c] = 1.0f;
    out[c * dim + c] = 1.0f;
  }
  qkv_.weight.value.assign(qkv);
  out_.weight.value.assign(out);
  from.next_table += 2;
}

}  // namespace sheaf
