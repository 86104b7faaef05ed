#pragma once
/// Groups of lanes that share a row, for the kernels over tables.

#include <bit>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/embedding/table.hpp"

namespace sheaf::embedding {

/// kVec elements that one load or store moves.
template <class T, int kVec>
struct alignas(sizeof(T) * kVec) Pack {
  T v[kVec];
};

__device__ inline void note_fault(uint64_t* fault, int64_t place) {
  if (fault) atomicMin(reinterpret_cast<unsigned long long*>(fault), static_cast<unsigned long long>(place));
}

/// Lanes of a group: enough for a row of `dim` in packs of `vec`, a power of two, at most a warp.
inline int group_lanes(int64_t dim, int vec) {
  const auto packs = static_cast<uint64_t>((dim + vec - 1) / vec);
  return packs >= kWarp ? kWarp : static_cast<int>(std::bit_ceil(packs));
}

inline bool aligned(const void* pointer, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % static_cast<uintptr_t>(bytes) == 0;
}

}  // namespace sheaf::embedding
