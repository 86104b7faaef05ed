#include <algorithm>
#include <array>
#include <utility>

#include "kernels/core/sort.hpp"

namespace sheaf::cpu {

// Least significant digit radix sort, ending in the sorted_ arrays. Digits are as wide as makes the passes fewest: up
// to ten bits, or eight where so few pairs would not pay for a thousand counters.
void sort_pairs(Context& context, const SortPairsArgs& args) {
  constexpr int kWide = 10, kNarrow = 8;
  constexpr int64_t kFew = 2048;
  const int64_t n = args.keys.size;
  const int most_bits = n < kFew ? kNarrow : kWide;
  const int passes = (args.key_bits + most_bits - 1) / most_bits;
  const int digit_bits = (args.key_bits + passes - 1) / passes;
  const uint32_t digits = 1u << digit_bits;
  ScratchScope scratch(context);
  uint32_t* spare_keys = scratch.take<uint32_t>(n);
  uint32_t* spare_values = scratch.take<uint32_t>(n);

  const uint32_t* keys = args.keys.data;
  const uint32_t* values = args.values.data;
  for (int pass = 0; pass < passes; ++pass) {
    const bool ends_in_output = (passes - 1 - pass) % 2 == 0;
    uint32_t* next_keys = ends_in_output ? args.sorted_keys.data : spare_keys;
    uint32_t* next_values = ends_in_output ? args.sorted_values.data : spare_values;
    const int shift = pass * digit_bits;
    std::array<int64_t, 1u << kWide> position;
    std::fill_n(position.begin(), digits, 0);
    for (int64_t i = 0; i < n; ++i) ++position[(keys[i] >> shift) & (digits - 1)];
    int64_t sum = 0;
    for (uint32_t digit = 0; digit < digits; ++digit) sum += std::exchange(position[digit], sum);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t to = position[(keys[i] >> shift) & (digits - 1)]++;
      next_keys[to] = keys[i];
      next_values[to] = values[i];
    }
    keys = next_keys;
    values = next_values;
  }
}

}  // namespace sheaf::cpu
