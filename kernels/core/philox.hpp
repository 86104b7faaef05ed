#pragma once
/// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
/// as 1, 2, 3", SC 2011). A draw depends on (seed, purpose, step, row, column) and on nothing else, so every backend,
/// thread count, tile size and batch split sees the same numbers.

#include <cstdint>

#include "kernels/core/hd.hpp"

namespace sheaf {

/// What the numbers are for; two purposes never share a stream.
enum class Purpose : uint32_t {
  init = 1,
  shuffle = 2,
  negative = 3,
  dropout = 4,
  split = 5,
  evaluation = 6,
  search_init = 7,
  search_select = 8,
  search_cross = 9,
  search_mutate = 10,
  test = 11,
  rounding = 12,
  attention = 13,
};

struct RandomKey {
  uint64_t seed = 0;
  Purpose purpose = Purpose::test;
  uint32_t step = 0;
};

struct Random4 {
  uint32_t v[4];
};

namespace detail {
SHEAF_HD constexpr uint32_t mulhi32(uint32_t a, uint32_t b) {
  return static_cast<uint32_t>((static_cast<uint64_t>(a) * b) >> 32);
}
}  // namespace detail

/// The Philox4x32-10 bijection.
SHEAF_HD constexpr Random4 philox4x32(Random4 counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint32_t hi0 = detail::mulhi32(0xD2511F53u, counter.v[0]);
    const uint32_t lo0 = 0xD2511F53u * counter.v[0];
    const uint32_t hi1 = detail::mulhi32(0xCD9E8D57u, counter.v[2]);
    const uint32_t lo1 = 0xCD9E8D57u * counter.v[2];
    counter = Random4{{hi1 ^ counter.v[1] ^ key0, lo1, hi0 ^ counter.v[3] ^ key1, lo0}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// Four draws for columns 4*block .. 4*block+3 of `row`. row < 2^56.
SHEAF_HD constexpr Random4 random4(RandomKey key, uint64_t row, uint32_t block) {
  const Random4 counter{{block, static_cast<uint32_t>(row), key.step,
                         (static_cast<uint32_t>(key.purpose) << 24) | static_cast<uint32_t>(row >> 32)}};
  return philox4x32(counter, static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32));
}

SHEAF_HD constexpr uint32_t random_u32(RandomKey key, uint64_t row, uint32_t column) {
  return random4(key, row, column / 4).v[column % 4];
}

/// Uniform in [0, 1) with 24 bits.
SHEAF_HD constexpr float uniform01(uint32_t x) { return static_cast<float>(x >> 8) * 0x1.0p-24f; }

/// Uniform in [0, n) by multiply-shift; the bias is at most n / 2^32.
SHEAF_HD constexpr uint32_t bounded(uint32_t x, uint32_t n) { return detail::mulhi32(x, n); }

}  // namespace sheaf
