#pragma once
/// cp.async: copies from global to shared memory that run while the thread computes. All of it concerns the calling
/// thread only. What other threads have copied is visible after their wait and a barrier.

#include <cuda_runtime.h>

#include <cstdint>

namespace sheaf {

/// Begins a copy of kBytes (4, 8 or 16), to which both addresses are aligned. If not `valid`, it writes zeros and does
/// not read `global`.
template <int kBytes>
__device__ inline void async_copy(void* shared, const void* global, bool valid = true) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
#if defined(SHEAF_SIMT)
  ::simt::async_copy<kBytes>(shared, global, valid);
#else
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const int n_read = valid ? kBytes : 0;
  // Bypasses L1 where the hardware allows it: a tile is read once.
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(n_read) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(global), "n"(kBytes), "r"(n_read)
                 : "memory");
  }
#endif
}

/// The copies since the last commit form a group.
__device__ inline void async_commit() {
#if defined(SHEAF_SIMT)
  ::simt::async_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most the latest kGroups groups are still running.
template <int kGroups>
__device__ inline void async_wait() {
#if defined(SHEAF_SIMT)
  ::simt::async_wait(kGroups);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
#endif
}

}  // namespace sheaf
