#pragma once
/// The per-pair code that both backends include: dropout and bias of one pair of tokens.

#include "kernels/attention/attention.hpp"

namespace sheaf::attention {

struct DropoutMask {
  explicit DropoutMask(const Shape& shape, int64_t heads)
      : key(shape.key),
        n_heads(static_cast<uint64_t>(heads)),
        first_sequence(static_cast<uint64_t>(shape.first_sequence)),
        threshold(static_cast<uint32_t>(shape.dropout * 256.0f + 0.5f)),
        factor(256.0f / static_cast<float>(256u - threshold)) {}

  SHEAF_HD bool active() const { return threshold > 0; }

  /// The decisions on columns 16 * block .. 16 * block + 15 of row i, one byte each.
  SHEAF_HD Random4 draw(int64_t sequence, int64_t head, int64_t i, int64_t block) const {
    const uint64_t row = ((first_sequence + static_cast<uint64_t>(sequence)) * n_heads + static_cast<uint64_t>(head))
                             << 20 |
                         static_cast<uint64_t>(i);
    return random4(key, row, static_cast<uint32_t>(block));
  }
  /// 0 or 1 / kept, for column 16 * block + c.
  SHEAF_HD float keep(const Random4& draw, int c) const {
    return (draw.v[c / 4] >> (c % 4 * 8) & 0xffu) >= threshold ? factor : 0.0f;
  }

  RandomKey key;
  uint64_t n_heads;
  uint64_t first_sequence;
  uint32_t threshold;  // of 256
  float factor;
};

/// The tokens of a sequence.
struct Span {
  int64_t first, length;
};
SHEAF_HD inline Span span_of(const Shape& shape, int64_t sequence) {
  return {shape.offsets[sequence], shape.offsets[sequence + 1] - shape.offsets[sequence]};
}
/// Column of relative_bias that the pair (i, j) reads.
template <class Int>
SHEAF_HD inline Int bias_column(Int i, Int j, Int radius) {
  const Int distance = i - j;
  return (distance < -radius ? -radius : distance > radius ? radius : distance) + radius;
}

}  // namespace sheaf::attention
