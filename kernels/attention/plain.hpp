#pragma once
/// Attention one row at a time by the formulas of the contract, the same text on every backend.

#include <cmath>

#include "kernels/attention/attention.hpp"
#include "kernels/attention/pair.hpp"

namespace sheaf::attention {

/// Element c of a head's row.
SHEAF_HD inline float read_element(const Heads<const void>& heads, const Shape& shape, int64_t token, int64_t head,
                                   int64_t c) {
  const int64_t at = token * heads.stride + head * shape.dim + c;
  if (shape.element == Element::f32) return static_cast<const float*>(heads.data)[at];
  if (shape.element == Element::f16) return to_float(static_cast<const Half*>(heads.data)[at]);
  return to_float(static_cast<const BFloat16*>(heads.data)[at]);
}

SHEAF_HD inline void write_element(float x, const Heads<void>& heads, const Shape& shape, int64_t token, int64_t head,
                                   int64_t c) {
  const int64_t at = token * heads.stride + head * shape.dim + c;
  if (shape.element == Element::f32) {
    static_cast<float*>(heads.data)[at] = x;
  } else if (shape.element == Element::f16) {
    static_cast<Half*>(heads.data)[at] = nearest<Half>(x);
  } else {
    static_cast<BFloat16*>(heads.data)[at] = nearest<BFloat16>(x);
  }
}

SHEAF_HD inline float row_product(const Shape& shape, const Heads<const void>& a, int64_t a_token, int64_t a_head,
                                  const Heads<const void>& b, int64_t b_token, int64_t b_head) {
  float sum = 0.0f;
  for (int64_t c = 0; c < shape.dim; ++c) {
    sum += read_element(a, shape, a_token, a_head, c) * read_element(b, shape, b_token, b_head, c);
  }
  return sum;
}

/// One query head of one sequence.
struct Item {
  int64_t sequence, head, kv_head;
  Span span;
};

SHEAF_HD inline bool sees(const Shape& shape, const Item& item, int64_t i, int64_t j) {
  return !(shape.causal && j > i) && (shape.key_keep.empty() || shape.key_keep[item.span.first + j] != 0);
}

/// x[i, j] of the contract.
SHEAF_HD inline float score(const Shape& shape, const Heads<const void>& q, const Heads<const void>& k,
                            const Item& item, int64_t i, int64_t j) {
  float x = shape.scale * row_product(shape, q, item.span.first + i, item.head, k, item.span.first + j, item.kv_head);
  if (!shape.relative_bias.empty()) {
    x += shape.relative_bias(item.head, bias_column(i, j, shape.relative_bias.cols / 2));
  }
  return x;
}

SHEAF_HD inline float kept_factor(const DropoutMask& mask, const Item& item, int64_t i, int64_t j) {
  if (!mask.active()) return 1.0f;
  return mask.keep(mask.draw(item.sequence, item.head, i, j / 16), static_cast<int>(j % 16));
}

/// `sums` holds dim floats.
SHEAF_HD inline void forward_row(const AttentionArgs& args, const DropoutMask& mask, const Item& item, int64_t i,
                                 float* sums) {
  const Shape& shape = args.shape;
  const int64_t end = shape.causal ? i + 1 : item.span.length;
  float largest = -INFINITY;
  for (int64_t j = 0; j < end; ++j) {
    if (sees(shape, item, i, j)) largest = fmaxf(largest, score(shape, args.q, args.k, item, i, j));
  }
  for (int64_t c = 0; c < shape.dim; ++c) sums[c] = 0.0f;
  float total = 0.0f;
  for (int64_t j = 0; j < end; ++j) {
    if (!sees(shape, item, i, j)) continue;
    const float p = expf(score(shape, args.q, args.k, item, i, j) - largest);
    total += p;
    const float weight = p * kept_factor(mask, item, i, j);
    for (int64_t c = 0; c < shape.dim; ++c) {
      sums[c] += weight * read_element(args.v, shape, item.span.first + j, item.kv_head, c);
    }
  }
  const int64_t token = item.span.first + i;
  const float inverse = total == 0.0f ? 0.0f : 1.0f / total;
  for (int64_t c = 0; c < shape.dim; ++c) write_element(sums[c] * inverse, args.out, shape, token, item.head, c);
  args.log_sum_exp(token, item.head) = total == 0.0f ? -INFINITY : largest + logf(total);
}

/// p[i, j] and d_x[i, j] of a pair that i sees.
struct PairGradient {
  float kept_p, d_x;
};
SHEAF_HD inline PairGradient pair_gradient(const AttentionBackwardArgs& args, const DropoutMask& mask, const Item& item,
                                           int64_t i, int64_t j) {
  const Shape& shape = args.shape;
  const int64_t token = item.span.first + i;
  const float p = expf(score(shape, args.q, args.k, item, i, j) - args.log_sum_exp(token, item.head));
  const float keep = kept_factor(mask, item, i, j);
  const float d_p = row_product(shape, args.d_out, token, item.head, args.v, item.span.first + j, item.kv_head);
  const float delta = row_product(shape, args.d_out, token, item.head, args.out, token, item.head);
  return {p * keep, p * (keep * d_p - delta)};
}

}  // namespace sheaf::attention
