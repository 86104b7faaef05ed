#include <algorithm>
#include <array>
#include <utility>

#include "kernels/core/sort.hpp"

namespace sheaf::cpu {

// Least significant digit radix sort, eight bits a pass, ending in the sorted_ arrays.
void sort_pairs(Context& context, const SortPairsArgs& args) {
  constexpr int kDigitBits = 8;
  constexpr uint32_t kDigits = 1u << kDigitBits;
  const int64_t n = args.keys.size;
  const int passes = (args.key_bits + kDigitBits - 1) / kDigitBits;
  ScratchScope scratch(context);
  uint32_t* spare_keys = scratch.take<uint32_t>(n);
  uint32_t* spare_values = scratch.take<uint32_t>(n);

  const uint32_t* keys = args.keys.data;
  const uint32_t* values = args.values.data;
  for (int pass = 0; pass < passes; ++pass) {
    const bool ends_in_output = (passes - 1 - pass) % 2 == 0;
    uint32_t* next_keys = ends_in_output ? args.sorted_keys.data : spare_keys;
    uint32_t* next_values = ends_in_output ? args.sorted_values.data : spare_values;
    const int shift = pass * kDigitBits;
    std::array<int64_t, kDigits> position{};
    for (int64_t i = 0; i < n; ++i) ++position[(keys[i] >> shift) % kDigits];
    int64_t sum = 0;
    for (int64_t& p : position) sum += std::exchange(p, sum);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t to = position[(keys[i] >> shift) % kDigits]++;
      next_keys[to] = keys[i];
      next_values[to] = values[i];
    }
    keys = next_keys;
    values = next_values;
  }
}

}  // namespace sheaf::cpu
