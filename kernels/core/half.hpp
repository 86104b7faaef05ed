#pragma once
/// The 16-bit floats as storage: IEEE binary16 and bfloat16. Arithmetic is in float. Both conversions to 16 bits keep
/// NaN and saturate at the largest finite number, so that one step that is too large cannot make a permanent infinity.
/// The same bits on every backend.

#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/core/hd.hpp"

namespace sheaf {

struct Half {
  uint16_t bits;
};

struct BFloat16 {
  uint16_t bits;
};

namespace detail {

SHEAF_HD inline uint32_t float_bits(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  return std::bit_cast<uint32_t>(x);
#endif
}

SHEAF_HD inline float bits_float(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

/// Bits of binary16 of |x| < 65520, truncated after adding `dither` in [0, 2^32) as a fraction of the last place kept.
SHEAF_HD inline uint32_t half_magnitude(uint32_t magnitude, uint32_t dither, bool to_nearest) {
  const uint32_t exponent = magnitude >> 23;
  // Normal numbers lose 13 bits of the significand; below 2^-14 one more for each power of two.
  const uint32_t lost = exponent >= 113 ? 13 : 126 - exponent;
  if (lost > 31) return 0;  // below 2^-32: the dither of 32 bits cannot lift it
  const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
  const uint32_t kept = significand >> lost;
  const uint32_t rest = significand & ((1u << lost) - 1);
  const uint32_t lift =
      to_nearest ? (rest + ((1u << (lost - 1)) - 1) + (kept & 1)) >> lost : (rest + (dither >> (32 - lost))) >> lost;
  // A carry out of the significand moves into the exponent, as it should.
  const uint32_t base = exponent >= 113 ? (exponent - 113) << 10 : 0;
  return base + kept + lift;
}

SHEAF_HD inline Half narrow_half(float x, uint32_t dither, bool to_nearest) {
  constexpr uint32_t kLargest = 0x7bff;
  const uint32_t bits = float_bits(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t sign = (bits >> 16) & 0x8000u;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (magnitude == 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7c00u)};
  if (magnitude >= 0x477fe000u) return {static_cast<uint16_t>(sign | kLargest)};  // 65504
  return {static_cast<uint16_t>(sign | half_magnitude(magnitude, dither, to_nearest))};
}

SHEAF_HD inline BFloat16 narrow_bfloat16(float x, uint32_t dither, bool to_nearest) {
  const uint32_t bits = float_bits(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  if (magnitude == 0x7f800000u) return {static_cast<uint16_t>(bits >> 16)};
  const uint32_t lift = to_nearest ? 0x7fffu + ((bits >> 16) & 1u) : dither >> 16;
  const uint32_t narrow = (magnitude + lift) >> 16;
  return {static_cast<uint16_t>(((bits >> 16) & 0x8000u) | (narrow >= 0x7f80u ? 0x7f7fu : narrow))};
}

}  // namespace detail

SHEAF_HD inline float to_float(float x) { return x; }
SHEAF_HD inline float to_float(int8_t x) { return static_cast<float>(x); }
SHEAF_HD inline float to_float(BFloat16 x) { return detail::bits_float(static_cast<uint32_t>(x.bits) << 16); }
SHEAF_HD inline float to_float(Half x) {
  const uint32_t magnitude = x.bits & 0x7fffu;
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  // Shifted into float's fields, the number is 2^-112 of itself, subnormals included. Infinity and NaN need float's
  // exponent.
  const float scaled = detail::bits_float(magnitude << 13) * 0x1.0p112f;
  const uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return detail::bits_float(detail::float_bits(scaled) | special | sign);
}

/// To the nearest, ties to even.
template <class T>
SHEAF_HD inline T nearest(float x) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return x;
  } else if constexpr (std::is_same_v<T, Half>) {
    return detail::narrow_half(x, 0, true);
  } else {
    return detail::narrow_bfloat16(x, 0, true);
  }
}

/// Rounds up or down, with probabilities such that the mean over uniform `dither` is x itself. float stays as it is.
template <class T>
SHEAF_HD inline T stochastic(float x, uint32_t dither) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return x;
  } else if constexpr (std::is_same_v<T, Half>) {
    return detail::narrow_half(x, dither, false);
  } else {
    return detail::narrow_bfloat16(x, dither, false);
  }
}

/// How the numbers of a tensor are stored.
enum class Element : int { f32, f16, bf16 };

SHEAF_HD constexpr int64_t element_bytes(Element element) { return element == Element::f32 ? 4 : 2; }

}  // namespace sheaf
