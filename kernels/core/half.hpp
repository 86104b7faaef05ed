#pragma once
/// 16-bit floating point as bit patterns, the same on the host and the device. Rounding is to nearest, ties to even.

#include <cstdint>
#include <cstring>

#include "kernels/core/hd.hpp"

namespace sheaf {

/// How the numbers of a tensor are stored; sums are always float.
enum class Element : int { f32, f16, bf16 };

SHEAF_HD constexpr int element_bytes(Element element) { return element == Element::f32 ? 4 : 2; }

struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

namespace detail {
SHEAF_HD inline float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}
SHEAF_HD inline uint32_t bits_of_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}
}  // namespace detail

SHEAF_HD inline float to_float(float x) { return x; }
SHEAF_HD inline float to_float(Bf16 x) { return detail::float_of_bits(uint32_t{x.bits} << 16); }
/// Shifted into place, an f16 is a float 2^112 times too small; infinity and NaN get their exponent after that.
SHEAF_HD inline float to_float(F16 x) {
  const float small = detail::float_of_bits(uint32_t{x.bits & 0x7fffu} << 13);
  const uint32_t magnitude = (x.bits & 0x7c00u) == 0x7c00u ? detail::bits_of_float(small) | 0x7f800000u
                                                           : detail::bits_of_float(small * 0x1.0p112f);
  return detail::float_of_bits(magnitude | uint32_t{x.bits & 0x8000u} << 16);
}

SHEAF_HD inline void store_float(float x, float& to) { to = x; }
SHEAF_HD inline void store_float(float x, Bf16& to) {
  const uint32_t bits = detail::bits_of_float(x);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  to.bits = static_cast<uint16_t>(is_nan ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
SHEAF_HD inline void store_float(float x, F16& to) {
  const uint32_t bits = detail::bits_of_float(x);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u;
  } else if (magnitude >= 0x477ff000u) {  // 65520 and more round to infinity
    half = 0x7c00u;
  } else if (magnitude < 0x38800000u) {
    // Below the least normal number: adding 0.5 leaves the multiple of 2^-24 in the low bits of the sum.
    half = detail::bits_of_float(detail::float_of_bits(magnitude) + 0.5f) & 0x7fffu;
  } else {
    half = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  }
  to.bits = static_cast<uint16_t>(sign | half);
}

}  // namespace sheaf
