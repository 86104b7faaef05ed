#include "kernels/core/sort.hpp"

#include "kernels/core/check.hpp"

namespace sheaf {

void sort_pairs(Context& context, const SortPairsArgs& args) {
  const int64_t n = args.keys.size;
  check_argument(args.values.size == n && args.sorted_keys.size == n && args.sorted_values.size == n, "sort_pairs",
                 "all arrays must have the size of keys");
  check_argument(args.key_bits >= 1 && args.key_bits <= 32, "sort_pairs", "key_bits must be in 1..32");
  check_argument(n < (int64_t{1} << 31), "sort_pairs", "at most 2^31 - 1 pairs");
  if (n > 0) SHEAF_DISPATCH(context, sort_pairs, args);
}

}  // namespace sheaf
