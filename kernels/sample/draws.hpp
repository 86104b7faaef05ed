#pragma once
/// The random draws of sample::batch, which both backends include.

#include <cstdint>

#include "kernels/core/philox.hpp"
#include "kernels/core/view.hpp"
#include "kernels/sample/batch.hpp"

namespace sheaf::sample {

/// A keyed bijection of [0, n): four Feistel rounds on the next even power of two, repeated until the value is below n.
SHEAF_HD inline uint64_t permute(uint64_t seed, uint32_t epoch, uint64_t position, uint64_t n) {
  uint32_t half_bits = 1;
  while ((uint64_t{1} << (2 * half_bits)) < n) ++half_bits;
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  const RandomKey key{seed, Purpose::shuffle, epoch};
  uint64_t value = position;
  do {
    uint64_t left = value >> half_bits;
    uint64_t right = value & mask;
    for (uint32_t round = 0; round < 4; ++round) {
      const uint64_t mixed = left ^ (random4(key, right, round).v[0] & mask);
      left = right;
      right = mixed;
    }
    value = (left << half_bits) | right;
  } while (value >= n);
  return value;
}

/// Does row `user` of the pattern hold `item`?
SHEAF_HD inline bool is_taken(const CsrView& taken, int64_t user, int32_t item) {
  int64_t low = taken.row_offsets[user];
  int64_t high = taken.row_offsets[user + 1];
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (taken.columns[middle] < item) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < taken.row_offsets[user + 1] && taken.columns[low] == item;
}

/// Negative g (from 1) of the positive at `position`. Try t takes one Philox block: row = position,
/// block = (g - 1) * kMaxTries + t; word 0 picks the item, word 1 decides between it and its alias.
SHEAF_HD inline int32_t draw_negative(const BatchArgs& args, uint64_t position, int64_t user, int64_t g) {
  const RandomKey key{args.seed, Purpose::negative, args.epoch};
  const auto n_items = static_cast<uint32_t>(args.taken.n_columns);
  int32_t item = 0;
  for (int t = 0; t < kMaxTries; ++t) {
    const Random4 draw = random4(key, position, static_cast<uint32_t>((g - 1) * kMaxTries + t));
    item = static_cast<int32_t>(bounded(draw.v[0], n_items));
    if (!args.alias_threshold.empty() && uniform01(draw.v[1]) >= args.alias_threshold[item])
      item = args.alias_item[item];
    if (!is_taken(args.taken, user, item)) break;
  }
  return item;
}

/// Fills row b of the batch.
SHEAF_HD inline void fill_batch_row(const BatchArgs& args, int64_t b) {
  const auto position = static_cast<uint64_t>(args.first_position + b);
  const auto index =
      static_cast<int64_t>(permute(args.seed, args.epoch, position, static_cast<uint64_t>(args.users.size)));
  const int32_t user = args.users[index];
  args.batch_users[b] = user;
  if (!args.batch_weights.empty()) args.batch_weights[b] = args.weights[index];
  args.batch_items(b, 0) = args.items[index];
  for (int64_t g = 1; g < args.batch_items.cols; ++g) args.batch_items(b, g) = draw_negative(args, position, user, g);
}

}  // namespace sheaf::sample
