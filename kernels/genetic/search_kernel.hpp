#pragma once
/// The CPU backend's chains for each instruction set; one is chosen when the program runs. All give the same bits.

#include <cstdint>

#include "kernels/genetic/search_chain.hpp"

namespace sheaf::genetic::cpu {

inline constexpr int32_t kSearchLanes = 16;
inline constexpr int32_t kChainBytes = 40 * 1024;  // of a chain's memory, 64-byte aligned

/// Runs a chain for one round; returns the moves judged.
struct SearchKernel {
  const char* name;
  int64_t (*run)(const SearchView& view, const ChainJob& job, unsigned char* memory, SearchSet* current,
                 SearchSet* out);
};

extern const SearchKernel kPortableSearch, kAvx2Search, kAvx512Search;

/// Those that this processor can run, the fastest first; returns their number.
int32_t usable_search_kernels(const SearchKernel** kernels, int32_t capacity);

/// The fastest one, or the one that SHEAF_SEARCH names.
const SearchKernel& search_kernel();

/// Draws 4 block .. 4 block + 3 of a chain in a round; compiled for any processor.
void draw_four(const ChainJob& job, uint32_t block, uint32_t* four);

}  // namespace sheaf::genetic::cpu
