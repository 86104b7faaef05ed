#pragma once
/// The CPU backend's local search for each instruction set. One is chosen when the program runs. All give the same
/// bits.

#include <cstdint>

#include "kernels/genetic/search_view.hpp"

namespace sheaf::genetic::cpu {

inline constexpr int32_t kSearchLanes = 16;
inline constexpr int32_t kLocalSearchBytes = 40 * 1024;  // of memory for one, 64-byte aligned

/// Runs a local search for one round; returns the moves judged.
struct SearchKernel {
  const char* name;
  int64_t (*run)(const SearchView& view, const LocalSearchJob& job, unsigned char* memory, SearchSet* current,
                 SearchSet* out);
};

extern const SearchKernel kPortableSearch, kAvx2Search, kAvx512Search;

/// Those that this processor can run, the fastest first; returns their number.
int32_t usable_search_kernels(const SearchKernel** kernels, int32_t capacity);

/// The fastest one, or the one that SHEAF_SEARCH names.
const SearchKernel& search_kernel();

/// Draws 4 block .. 4 block + 3 of a local search in a round; compiled for any processor.
void draw_four(const LocalSearchJob& job, uint32_t block, uint32_t* four);

}  // namespace sheaf::genetic::cpu
