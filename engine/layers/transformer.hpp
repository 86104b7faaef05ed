#pragma once
/// Causal self-attention over what a user bought (Kang and McAuley, "Self-attentive sequential recommendation", 2018),
/// composed of engine/layers: a network of purchases with positions, whose stack is the PreNorm of the branches
/// self-attention, feed-forward, self-attention, ..

#include <cstdint>

#include "engine/layers/sequence_network.hpp"

namespace sheaf {

struct TransformerShape {
  int64_t layers = 2;
  int64_t heads = 2;           // dim is a multiple of it
  int64_t max_length = 128;    // purchases looked at
  int64_t feed_forward = 256;  // width of the inner layer
  int64_t user_rows = 0;       // of the user table: all users, or 0 for none

  TokenShape tokens() const { return {.max_length = max_length, .positions = true, .user_rows = user_rows}; }
};

class Transformer final : public SequenceNetwork {
 public:
  /// UsageError for a shape that cannot be. First weights have deviation 1 / sqrt(inputs), divided by sqrt(2 layers)
  /// where a layer adds to the states; weights of norms 1, biases 0.
  Transformer(Context& context, const TransformerShape& shape, int64_t dim);

  const TransformerShape& shape() const { return shape_; }

 private:
  TransformerShape shape_;
};

}  // namespace sheaf
