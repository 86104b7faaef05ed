#pragma once
/// Stable radix sort of (key, value) pairs by the low `key_bits` of the key, ascending. CUB on CUDA.

#include "kernels/core/context.hpp"
#include "kernels/core/dispatch.hpp"
#include "kernels/core/view.hpp"

namespace sheaf {

struct SortPairsArgs {
  VectorView<const uint32_t> keys;     // [n]
  VectorView<const uint32_t> values;   // [n]
  int key_bits = 32;                   // keys < 2^key_bits
  VectorView<uint32_t> sorted_keys;    // [n], must not alias
  VectorView<uint32_t> sorted_values;  // [n], must not alias
};

void sort_pairs(Context& context, const SortPairsArgs& args);

SHEAF_BACKENDS(sort_pairs, SortPairsArgs);

}  // namespace sheaf
