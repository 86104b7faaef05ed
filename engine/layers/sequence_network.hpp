#pragma once
/// A network over what a user bought, oldest first: a stack of layers from the vectors of the purchases to a state
/// after each of them. For a history of items i_0, i_1, .. of which at most max_length are looked at:
///
///   x_t = e_{i_t} + p_t + v_u     p: position table, if there is one; v: user table, if there is one
///   h   = stack(x)
///   h_t                           the state after t: what the user wants next has a large h_t . e_i + b_i

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/layers/embedding_bag.hpp"
#include "engine/layers/layer.hpp"

namespace sheaf {

/// What the vectors of purchases are summed from.
struct TokenShape {
  int64_t max_length = 128;  // purchases looked at
  bool positions = false;    // whether there is a position table, of max_length rows
  int64_t user_rows = 0;     // of the user table (Wu et al., "SSE-PT", 2020): all users, or 0 for none

  int64_t position_rows() const { return positions ? max_length : 0; }
  /// Rows of the table that tokens are summed from: items, positions, users.
  int64_t table_rows(int64_t n_items) const { return n_items + position_rows() + user_rows; }
};

/// Packed histories on the device, each at most max_length long.
struct Sequences {
  /// `items` of all sequences in a row, cut at `offsets`; `users` [n_sequences] is read if there is a user table.
  Sequences(Context& context, const TokenShape& shape, const std::vector<int64_t>& offsets,
            std::span<const int32_t> items, std::span<const int32_t> users, int64_t n_items);
  PackedSequences packed() const { return {offsets.view(), longest, order.view(), reaching.view()}; }

  int64_t n_tokens = 0;
  int64_t longest = 0;
  HostCsr host_tokens;  // [n_tokens, table_rows]: a token's item, its place behind the items, its user behind those
  EmbeddingBag tokens;
  Buffer<int64_t> offsets;          // [n_sequences + 1]
  Buffer<int32_t> order, reaching;  // of attention::Shape
};

class SequenceNetwork {
 public:
  /// `stack` maps dim columns to dim columns. UsageError unless max_length is at least 1.
  SequenceNetwork(Context& context, const TokenShape& token_shape, int64_t dim, std::unique_ptr<Layer> stack);
  /// Fresh weights, drawn from (seed, Purpose::init, first_table ..): those of the stack as its layers say, positions
  /// and users of a fifth of the items' deviation.
  void initialise(uint64_t seed, uint32_t first_table);

  const TokenShape& token_shape() const { return token_shape_; }
  int64_t dim() const { return dim_; }
  /// Those of the stack, the positions, the users.
  std::vector<Parameter*> parameters();
  /// The tables that tokens are summed from beside the items: positions and users, if there are.
  std::vector<Parameter*> tables();

  /// [table_rows, dim]: the items' vectors, then the positions, then the users.
  void input_table(Context& context, const Buffer<float>& item_vectors, MatrixView<float> table) const;

  /// States [n_tokens, dim] of all tokens. The pass has the sequences' packed().
  void forward(Pass& pass, const Sequences& sequences, MatrixView<const float> table, MatrixView<float> states) const;
  /// From d_states [n_tokens, dim] to d_embedded [n_tokens, dim], the gradient of x, and the gradients of all
  /// parameters but positions and users, which are the caller's: they are part of the table.
  void backward(Pass& pass, MatrixView<float> d_states, MatrixView<float> d_embedded);

  /// [n_users, dim]: the state of each user's last purchase, 0 for users without any. No history is longer than
  /// max_length. Without `known` they are people of whom the user table holds nothing: their own vector is 0.
  Buffer<float> last_states(Context& context, const History& history, const Buffer<float>& item_vectors,
                            bool known = true) const;

 private:
  TokenShape token_shape_;
  int64_t dim_;
  std::unique_ptr<Layer> stack_;
  std::optional<Parameter> positions_;
  std::optional<Parameter> users_;
};

}  // namespace sheaf
