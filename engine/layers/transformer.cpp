#include "engine/layers/transformer.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/core/error.hpp"
#include "kernels/dense/add_norm.hpp"
#include "kernels/dense/linear.hpp"
#include "kernels/embedding/bag.hpp"

namespace sheaf {
namespace {

constexpr float kPositionDeviation = 0.02f;
constexpr float kAttentionDeviation = 0.2f;
constexpr int64_t kSiteRows = int64_t{1} << 36;        // rows of dropout that a place in the model has for itself
constexpr int64_t kLayerSequences = int64_t{1} << 24;  // and sequences of the attention's dropout
constexpr int64_t kTokensAtOnce = 16384;               // of last_states

void check_shape(const TransformerShape& s, int64_t dim) {
  const auto require = [](bool good, const std::string& what, const char* mend) {
    if (!good) throw UsageError(what, mend);
  };
  require(s.layers >= 1 && s.heads >= 1 && s.max_length >= 1 && s.feed_forward >= 1,
          "sasrec.layers, heads, max_length and feed_forward must each be at least 1", "see `sheaf config`");
  require(dim % s.heads == 0,
          "model.dim = " + std::to_string(dim) + " is no multiple of sasrec.heads = " + std::to_string(s.heads),
          "choose a number of heads that divides model.dim");
  require(
      dim / s.heads <= attention::kMaxDim,
      "a head of " + std::to_string(dim / s.heads) + " dimensions is wider than " + std::to_string(attention::kMaxDim),
      "raise sasrec.heads");
}

attention::Heads<const void> part(MatrixView<float> rows, int64_t heads, int64_t first) {
  return {rows.data + first, heads, rows.cols};
}
attention::Heads<void> part_out(MatrixView<float> rows, int64_t heads, int64_t first) {
  return {rows.data + first, heads, rows.cols};
}

}  // namespace

Sequences::Sequences(Context& context, const TransformerShape& shape, const std::vector<int64_t>& host_offsets,
                     std::span<const int32_t> items, std::span<const int32_t> users, int64_t n_items)
    : n_tokens(std::ssize(items)), all(all_ids(context, n_tokens)), offsets(context, host_offsets) {
  host_tokens.n_columns = shape.table_rows(n_items);
  host_tokens.columns.reserve(2 * items.size());
  for (size_t s = 0; s + 1 < host_offsets.size(); ++s) {
    longest = std::max(longest, host_offsets[s + 1] - host_offsets[s]);
    for (int64_t t = host_offsets[s]; t < host_offsets[s + 1]; ++t) {
      host_tokens.columns.push_back(items[static_cast<size_t>(t)]);
      host_tokens.columns.push_back(static_cast<int32_t>(n_items + t - host_offsets[s]));
      if (shape.user_rows > 0) {
        host_tokens.columns.push_back(static_cast<int32_t>(n_items + shape.max_length + users[s]));
      }
      host_tokens.row_offsets.push_back(host_tokens.nnz());
    }
  }
  tokens = DeviceCsr(context, host_tokens);
}

Transformer::Transformer(Context& context, const TransformerShape& shape, int64_t dim) : shape_(shape), dim_(dim) {
  check_shape(shape, dim);
  const auto add = [&](const std::string& name, int64_t rows, int64_t cols) {
    parameters_.push_back(make_parameter(context, name, rows, cols));
  };
  for (int64_t l = 0; l < shape.layers; ++l) {
    const std::string layer = "layer." + std::to_string(l) + ".";
    add(layer + "qkv", 3 * dim, dim);
    add(layer + "qkv_bias", 1, 3 * dim);
    add(layer + "out", dim, dim);
    add(layer + "out_bias", 1, dim);
    add(layer + "inner", shape.feed_forward, dim);
    add(layer + "inner_bias", 1, shape.feed_forward);
    add(layer + "outer", dim, shape.feed_forward);
    add(layer + "outer_bias", 1, dim);
  }
  for (int64_t n = 0; n <= 2 * shape.layers; ++n) {
    add("norm." + std::to_string(n) + ".gain", 1, dim);
    add("norm." + std::to_string(n) + ".shift", 1, dim);
  }
  add("positions", shape.max_length, dim);
  if (shape.user_rows > 0) add("users", shape.user_rows, dim);
}

void Transformer::initialise(uint64_t seed, uint32_t first_table) {
  const float residual = 1.0f / std::sqrt(2.0f * static_cast<float>(shape_.layers));
  const auto draw = [&](size_t index, float deviation) {
    Parameter& p = parameters_[index];
    p.value.assign(normal_values(p.rows, p.cols, seed, first_table + static_cast<uint32_t>(index), deviation));
  };
  const auto usual = [&](size_t index) { return 1.0f / std::sqrt(static_cast<float>(parameters_[index].cols)); };
  const auto size = static_cast<size_t>(dim_);
  for (int64_t l = 0; l < shape_.layers; ++l) {
    Parameter& qkv = parameters_[weight(l, kQkv)];
    std::vector<float> values =
        normal_values(qkv.rows, qkv.cols, seed, first_table + static_cast<uint32_t>(weight(l, kQkv)),
                      kAttentionDeviation * usual(weight(l, kQkv)));
    std::vector<float> out(size * size, 0.0f);
    for (size_t c = 0; c < size; ++c) {
      std::fill_n(values.begin() + static_cast<int64_t>((2 * size + c) * size), size, 0.0f);
      values[(2 * size + c) * size + c] = 1.0f;
      out[c * size + c] = 1.0f;
    }
    qkv.value.assign(values);
    parameters_[weight(l, kOut)].value.assign(out);
    draw(weight(l, kInner), usual(weight(l, kInner)));
    draw(weight(l, kOuter), residual * usual(weight(l, kOuter)));
  }
  for (int64_t n = 0; n <= 2 * shape_.layers; ++n) {
    parameters_[gain(n)].value.assign(std::vector<float>(static_cast<size_t>(dim_), 1.0f));
  }
  for (size_t table = positions(); table < parameters_.size(); ++table) draw(table, kPositionDeviation);
}

void Transformer::input_table(Context& context, const Buffer<float>& item_vectors, MatrixView<float> table) const {
  const auto bytes = [](int64_t n) { return static_cast<size_t>(n) * sizeof(float); };
  context.copy(table.data, item_vectors.data(), bytes(item_vectors.size()));
  float* to = table.data + item_vectors.size();
  for (size_t part = positions(); part < parameters_.size(); ++part) {
    const Buffer<float>& value = parameters_[part].value;
    context.copy(to, value.data(), bytes(value.size()));
    to += value.size();
  }
}

TransformerTrace Transformer::make_trace(ScratchScope& scratch, int64_t n_tokens) const {
  TransformerTrace trace;
  const auto take = [&](int64_t cols) {
    return MatrixView<float>{scratch.take<float>(n_tokens * cols), n_tokens, cols};
  };
  for (int64_t n = 0; n <= 2 * shape_.layers; ++n) trace.norms.push_back({take(dim_), take(dim_), take(2)});
  for (int64_t l = 0; l < shape_.layers; ++l) {
    trace.layers.push_back({take(3 * dim_), take(dim_), take(shape_.heads), take(shape_.feed_forward)});
  }
  trace.branch = take(dim_);
  return trace;
}

attention::Shape Transformer::attention_shape(const Sequences& sequences, int64_t layer,
                                              const TransformerDropout& dropout) const {
  const int64_t head_dim = dim_ / shape_.heads;
  return {.n_tokens = sequences.n_tokens,
          .dim = head_dim,
          .offsets = sequences.offsets.view(),
          .max_length = sequences.longest,
          .causal = true,
          .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
          .dropout = dropout.rate,
          .key = {dropout.seed, Purpose::attention, dropout.step},
          .first_sequence = layer * kLayerSequences};
}

void Transformer::forward(Context& context, const Sequences& sequences, MatrixView<const float> table,
                          const TransformerDropout& dropout, const TransformerTrace& trace) const {
  const auto value = [&](size_t index) { return parameters_[index].matrix(); };
  const auto vector = [&](size_t index) { return parameters_[index].value.view(); };
  const auto norm = [&](int64_t n) {
    const TransformerTrace::Norm& to = trace.norms[static_cast<size_t>(n)];
    const MatrixView<const float> residual =
        n == 0 ? MatrixView<const float>{} : MatrixView<const float>(trace.norms[static_cast<size_t>(n - 1)].sum);
    dense::add_norm(context, {.x = trace.branch,
                              .residual = residual,
                              .gain = vector(gain(n)),
                              .shift = vector(shift(n)),
                              .rate = dropout.rate,
                              .key = key(dropout),
                              .first_row = n * kSiteRows,
                              .sum = to.sum,
                              .normed = to.normed,
                              .moments = to.moments});
  };
  embedding::bag(context, {table, sequences.tokens.view(), sequences.all.view(), trace.branch});
  norm(0);
  for (int64_t l = 0; l < shape_.layers; ++l) {
    const TransformerTrace::Layer& layer = trace.layers[static_cast<size_t>(l)];
    dense::linear(context, {trace.norms[static_cast<size_t>(2 * l)].normed, value(weight(l, kQkv)),
                            vector(weight(l, kQkvBias)), false, layer.qkv});
    attention::attention(context, {.shape = attention_shape(sequences, l, dropout),
                                   .q = part(layer.qkv, shape_.heads, 0),
                                   .k = part(layer.qkv, shape_.heads, dim_),
                                   .v = part(layer.qkv, shape_.heads, 2 * dim_),
                                   .out = part_out(layer.attended, shape_.heads, 0),
                                   .log_sum_exp = layer.log_sum_exp});
    dense::linear(context, {layer.attended, value(weight(l, kOut)), vector(weight(l, kOutBias)), false, trace.branch});
    norm(2 * l + 1);
    dense::linear(context, {trace.norms[static_cast<size_t>(2 * l + 1)].normed, value(weight(l, kInner)),
                            vector(weight(l, kInnerBias)), true, layer.inner});
    dense::linear(context, {layer.inner, value(weight(l, kOuter)), vector(weight(l, kOuterBias)), false, trace.branch});
    norm(2 * l + 2);
  }
}

void Transformer::backward(Context& context, const Sequences& sequences, const TransformerDropout& dropout,
                           const TransformerTrace& trace, MatrixView<const float> d_states,
                           MatrixView<float> d_embedded, std::vector<Buffer<float>>& gradients) const {
  ScratchScope scratch(context);
  const int64_t n = sequences.n_tokens;
  const auto take = [&](int64_t cols) { return MatrixView<float>{scratch.take<float>(n * cols), n, cols}; };
  const MatrixView<float> d_normed = take(dim_), d_sum = take(dim_), d_branch = take(dim_), d_attended = take(dim_);
  const MatrixView<float> d_inner = take(shape_.feed_forward), d_qkv = take(3 * dim_);
  const auto norm = [&](int64_t which, MatrixView<const float> from, bool first, MatrixView<float> d_x) {
    const TransformerTrace::Norm& at = trace.norms[static_cast<size_t>(which)];
    dense::add_norm_backward(context, {.sum = at.sum,
                                       .moments = at.moments,
                                       .gain = parameters_[gain(which)].value.view(),
                                       .d_normed = from,
                                       .d_residual = first ? MatrixView<const float>{} : MatrixView<const float>(d_sum),
                                       .rate = dropout.rate,
                                       .key = key(dropout),
                                       .first_row = which * kSiteRows,
                                       .d_sum = d_sum,
                                       .d_x = d_x,
                                       .d_gain = gradients[gain(which)].view(),
                                       .d_shift = gradients[shift(which)].view()});
  };
  const auto linear = [&](int64_t l, Weight which, MatrixView<const float> x, bool rectify, MatrixView<const float> out,
                          MatrixView<float> d_out, MatrixView<float> d_x) {
    const size_t index = weight(l, which);
    const Parameter& p = parameters_[index];
    dense::linear_backward(context, {.x = x,
                                     .weight = p.matrix(),
                                     .rectify = rectify,
                                     .out = out,
                                     .d_out = d_out,
                                     .d_x = d_x,
                                     .d_weight = gradients[index].matrix(p.rows, p.cols),
                                     .d_bias = gradients[index + 1].view()});
  };
  for (int64_t l = shape_.layers - 1; l >= 0; --l) {
    const TransformerTrace::Layer& layer = trace.layers[static_cast<size_t>(l)];
    const bool last = l + 1 == shape_.layers;
    norm(2 * l + 2, last ? d_states : MatrixView<const float>(d_normed), last, d_branch);
    linear(l, kOuter, layer.inner, false, {}, d_branch, d_inner);
    linear(l, kInner, trace.norms[static_cast<size_t>(2 * l + 1)].normed, true, layer.inner, d_inner, d_normed);
    norm(2 * l + 1, d_normed, false, d_branch);
    linear(l, kOut, layer.attended, false, {}, d_branch, d_attended);
    attention::attention_backward(context, {.shape = attention_shape(sequences, l, dropout),
                                            .q = part(layer.qkv, shape_.heads, 0),
                                            .k = part(layer.qkv, shape_.heads, dim_),
                                            .v = part(layer.qkv, shape_.heads, 2 * dim_),
                                            .out = part(layer.attended, shape_.heads, 0),
                                            .d_out = part(d_attended, shape_.heads, 0),
                                            .log_sum_exp = layer.log_sum_exp,
                                            .d_q = part_out(d_qkv, shape_.heads, 0),
                                            .d_k = part_out(d_qkv, shape_.heads, dim_),
                                            .d_v = part_out(d_qkv, shape_.heads, 2 * dim_)});
    linear(l, kQkv, trace.norms[static_cast<size_t>(2 * l)].normed, false, {}, d_qkv, d_normed);
  }
  norm(0, d_normed, false, d_embedded);
}

Buffer<float> Transformer::last_states(Context& context, const History& history, const Buffer<float>& item_vectors,
                                       bool known) const {
  TransformerShape shape = shape_;
  if (!known) shape.user_rows = 0;
  const int64_t n_items = item_vectors.size() / dim_;
  const int64_t n_users = history.n_users();
  Buffer<float> states = Buffer<float>::zeros(context, n_users * dim_);
  Buffer<float> table(context, shape_.table_rows(n_items) * dim_);
  const MatrixView<float> table_view = table.matrix(shape_.table_rows(n_items), dim_);
  input_table(context, item_vectors, table_view);
  for (int64_t first = 0, next = 0; first < n_users; first = next) {
    // Users first .. next - 1; those without purchases have no sequence.
    const int64_t begin = history.offsets[static_cast<size_t>(first)];
    std::vector<int64_t> offsets{0};
    std::vector<int32_t> with_purchases;
    HostCsr last;  // [users, tokens]
    while (next < n_users &&
           (next == first || history.offsets[static_cast<size_t>(next) + 1] - begin <= kTokensAtOnce)) {
      const int64_t end = history.offsets[static_cast<size_t>(++next)] - begin;
      if (end > offsets.back()) {
        offsets.push_back(end);
        with_purchases.push_back(static_cast<int32_t>(next - 1));
        last.columns.push_back(static_cast<int32_t>(end - 1));
      }
      last.row_offsets.push_back(last.nnz());
    }
    if (offsets.size() == 1) continue;
    last.n_columns = offsets.back();
    const auto items =
        std::span(history.items).subspan(static_cast<size_t>(begin), static_cast<size_t>(offsets.back()));
    const Sequences sequences(context, shape, offsets, items, with_purchases, n_items);
    const DeviceCsr ends(context, last);
    const Buffer<int32_t> users = all_ids(context, next - first);
    ScratchScope scratch(context);
    const TransformerTrace trace = make_trace(scratch, sequences.n_tokens);
    forward(context, sequences, table_view.row_block(0, shape.table_rows(n_items)), {}, trace);
    embedding::bag(context,
                   {trace.states(), ends.view(), users.view(), {states.data() + first * dim_, next - first, dim_}});
    context.synchronize();  // the buffers of this round end here
  }
  return states;
}

}  // namespace sheaf
