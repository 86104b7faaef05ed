#pragma once
/// The extra dimensions that make an inner product of 16-bit vectors an upper bound of score_topk's float score.
///
///   bound(q, x) = q16 . x16 + 1 high + 1 low + r_q n_x + m_q s_x >= float sum of q . x, plus bias
///
/// x16 is x rounded to bf16, r = |x - x16|, n = |x|, m = n + r, s_x = r_x + e n_x, and e is the relative rounding of
/// both sums. |q . x - q16 . x16| <= |q - q16| |x| + |q16| |x - x16| <= r_q n_x + m_q r_x. The bias is high + low; low
/// is rounded up, and holds the bias's share of the rounding. So each pair has its own bound, and a filter compares the
/// product with the limit of the row alone. Factors are rounded up to bf16, with margins for their own rounding.

#include <cmath>

#include "kernels/core/half.hpp"
#include "kernels/core/hd.hpp"

namespace sheaf::dense {

constexpr int64_t kBoundColumns = 4;

/// A row is bounded if its squared length and its bias are at most this. Its scores with other such rows are at most
/// twice this.
constexpr float kMostBounded = 0x1.0p+100f;

/// The product of what pads a panel: below every bound.
constexpr float kPaddingBias = -0x1.0p+120f;

/// Both sums round each of their additions by half a unit in the last place of at most |q| |x| + |bias| + slack, u =
/// 2^-24: together 2 (dim + 5) u. Twice this leaves room for the arithmetic with the bounds themselves.
SHEAF_HD inline float sum_rounding(int64_t dim) { return static_cast<float>(dim + 12) * 0x1.0p-22f; }

/// The smallest bf16 of at least `value`, which is finite. At least 2^-100 if positive or tiny. So the low part of a
/// bias also covers what products and sums lose that take numbers below 2^-126 as 0.
SHEAF_HD inline float round_up_bf16(float value) {
  constexpr float kLeast = 0x1.0p-100f;
  if (value > -kLeast && value < kLeast) return kLeast;
  const uint32_t bits = detail::float_bits(value);
  return detail::bits_float((value > 0.0f ? bits + 0xffffu : bits) & 0xffff0000u);
}

/// Of a sum of squares in float, in any order.
SHEAF_HD inline float length_bound(float squares, int64_t dim) {
  return sqrtf(squares) * (1.0f + static_cast<float>(dim + 8) * 0x1.0p-24f) + 0x1.0p-60f;
}

/// Of a row, or a panel of rows, that is rounded to multiples of the scale, -127 to 127 times. Then r is what this
/// rounding loses, the rest of the bound stays as it is, and the bias needs no 16 bits.
SHEAF_HD inline float byte_scale(float largest) { return largest < 0x1.0p-80f ? 0.0f : largest / 127.0f; }

struct QueryBound {
  float residual, length;  // r_q, m_q: the last two columns

  SHEAF_HD QueryBound() = default;
  SHEAF_HD QueryBound(float length_of_query, float residual_of_query)
      : residual(round_up_bf16(residual_of_query * 1.01f)),
        length(round_up_bf16((length_of_query + residual_of_query) * 1.01f)) {}
  SHEAF_HD void write(float* columns) const {
    columns[0] = columns[1] = 1.0f;
    columns[2] = residual;
    columns[3] = length;
  }
};

struct ItemBound {
  float length, spread;  // n_x, s_x: the last two columns
  float high, low;       // of the bias
  float excess;          // high + low - bias, rounded up

  SHEAF_HD ItemBound() = default;
  SHEAF_HD ItemBound(float length_of_item, float residual_of_item, float bias, int64_t dim)
      : length(round_up_bf16(length_of_item * 1.01f)),
        spread(round_up_bf16((residual_of_item + sum_rounding(dim) * length_of_item) * 1.01f)),
        high(to_float(nearest<BFloat16>(bias))) {
    const float rest = bias - high;
    low = round_up_bf16(rest + sum_rounding(dim) * fabsf(bias));
    excess = (low - rest) * 1.01f;
  }
  SHEAF_HD void write(float* columns) const {
    columns[0] = high;
    columns[1] = low;
    columns[2] = length;
    columns[3] = spread;
  }
};

/// The float score is at least the bound less this.
SHEAF_HD inline float bound_width(const QueryBound& query, const ItemBound& item) {
  return 2.0f * (query.residual * item.length + query.length * item.spread + item.excess);
}

}  // namespace sheaf::dense
