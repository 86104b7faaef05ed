#pragma once
/// Causal self-attention over what a user bought, oldest first (Kang and McAuley, "Self-attentive sequential recommendation", 2018, with
/// the norm before each part: Xiong et al., 2020). For a history of items i_0, i_1, .. of which at most max_length are looked at:
///
///   s_t = dropout(e_{i_t} + p_t + v_u)                       p: position table; v: user table, if there is one
///   in each of the layers, with N a layer norm of its own:
///     s_t += dropout(W_o attention(W_qkv N(s))_t + b_o)      causal, several heads, dropout on its weights
///     s_t += dropout(W_2 max(0, W_1 N(s_t) + b_1) + b_2)
///   h_t = N(s_t)                                             the state after t: what the user wants next has a large h_t . e_i + b_i

#include <cstdint>
#include <span>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/layers/parameter.hpp"
#include "kernels/attention/attention.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf {

struct TransformerShape {
  int64_t layers = 2;
  int64_t heads = 2;           // dim is a multiple of it
  int64_t max_length = 128;    // purchases looked at
  int64_t feed_forward = 256;  // width of the inner layer
  int64_t user_rows = 0;       // of the user table (Wu et al., "SSE-PT", 2020): all users, or 0 for none

  /// Rows of the table that tokens are summed from: items, positions, users.
  int64_t table_rows(int64_t n_items) const { return n_items + max_length + user_rows; }
};

/// Packed histories on the device, each at most max_length long.
struct Sequences {
  /// `items` of all sequences in a row, cut at `offsets`; `users` [n_sequences] is read if there is a user table.
  Sequences(Context& context, const TransformerShape& shape, const std::vector<int64_t>& offsets,
            std::span<const int32_t> items, std::span<const int32_t> users, int64_t n_items);

  int64_t n_tokens = 0;
  int64_t longest = 0;
  HostCsr host_tokens;  // [n_tokens, table_rows]: a token's item, its place behind the items, its user behind those
  DeviceCsr tokens;
  Buffer<int32_t> all;      // 0 .. n_tokens - 1
  Buffer<int64_t> offsets;  // [n_sequences + 1]
};

/// Which numbers dropout draws; a rate of 0 drops nothing.
struct TransformerDropout {
  float rate = 0.0f;
  uint64_t seed = 0;
  uint32_t step = 0;
};

/// What the forward pass leaves for the backward pass; lives as long as the scratch scope it was made in.
struct TransformerTrace {
  struct Norm {
    MatrixView<float> sum, normed, moments;
  };
  struct Layer {
    MatrixView<float> qkv, attended, log_sum_exp, inner;
  };
  std::vector<Norm> norms;  // 2 layers + 1
  std::vector<Layer> layers;
  MatrixView<float> branch;  // what the next norm adds
  MatrixView<const float> states() const { return norms.back().normed; }
};

class Transformer {
 public:
  /// UsageError for a shape that cannot be.
  Transformer(Context& context, const TransformerShape& shape, int64_t dim);
  /// Fresh weights, drawn from (seed, Purpose::init, first_table ..): deviation 1 / sqrt(inputs), divided by sqrt(2 layers) where a
  /// layer adds to the states; gains 1, biases and shifts 0; positions and users of a fifth of the items' deviation.
  void initialise(uint64_t seed, uint32_t first_table);

  const TransformerShape& shape() const { return shape_; }
  int64_t dim() const { return dim_; }
  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// Whether weight decay is for this parameter: not for biases, gains and shifts.
  static bool decays(const Parameter& parameter) { return parameter.rows > 1; }

  /// [table_rows, dim]: the items' vectors, then the positions, then the users.
  void input_table(Context& context, const Buffer<float>& item_vectors, MatrixView<float> table) const;

  TransformerTrace make_trace(ScratchScope& scratch, int64_t n_tokens) const;
  /// States of all tokens in trace.states().
  void forward(Context& context, const Sequences& sequences, MatrixView<const float> table,
               const TransformerDropout& dropout, const TransformerTrace& trace) const;
  /// From d_states [n_tokens, dim] (kept) to d_embedded [n_tokens, dim], the gradient of e + p, and `gradients`, one a parameter in
  /// the order of parameters(), but for positions and users, which are the caller's: they are part of the table. Overwrites `gradients`.
  void backward(Context& context, const Sequences& sequences, const TransformerDropout& dropout,
                const TransformerTrace& trace, MatrixView<const float> d_states, MatrixView<float> d_embedded,
                std::vector<Buffer<float>>& gradients) const;
  /// Index of the position table in parameters(); that of the users, if there is one, follows.
  size_t positions() const { return parameters_.size() - (shape_.user_rows > 0 ? 2 : 1); }

  /// [n_users, dim]: the state of each user's last purchase, 0 for users without any. No history is longer than max_length. Without
  /// `known` they are people of whom the user table holds nothing: their own vector is 0.
  Buffer<float> last_states(Context& context, const History& history, const Buffer<float>& item_vectors,
                            bool known = true) const;

 private:
  enum Weight : size_t { kQkv, kQkvBias, kOut, kOutBias, kInner, kInnerBias, kOuter, kOuterBias, kLayerSize };
  size_t weight(int64_t layer, Weight which) const { return static_cast<size_t>(layer) * kLayerSize + which; }
  size_t gain(int64_t norm) const {
    return static_cast<size_t>(shape_.layers) * kLayerSize + 2 * static_cast<size_t>(norm);
  }
  size_t shift(int64_t norm) const { return gain(norm) + 1; }
  attention::Shape attention_shape(const Sequences& sequences, int64_t layer, const TransformerDropout& dropout) const;
  RandomKey key(const TransformerDropout& dropout) const { return {dropout.seed, Purpose::dropout, dropout.step}; }

  TransformerShape shape_;
  int64_t dim_;
  std::vector<Parameter> parameters_;  // layer after layer, then the norms, the positions, the users
};

}  // namespace sheaf
