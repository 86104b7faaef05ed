#pragma once
/// Warp and block collectives. Sums run in a fixed order (butterfly, then warps ascending): the same bits on every run.

#include <cuda_runtime.h>

namespace sheaf {

constexpr unsigned kFullMask = 0xffffffffu;
constexpr int kWarp = 32;

template <class T>
__device__ inline T warp_sum(T value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kFullMask, value, offset);
  return value;
}

template <class T>
__device__ inline T warp_max(T value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const T other = __shfl_xor_sync(kFullMask, value, offset);
    value = other > value ? other : value;
  }
  return value;
}

/// Sum over a block of kThreads (a multiple of 32, at most 1024); every thread gets the result. `partial` is shared
/// memory for kThreads / 32 values. It may be used again after the call.
template <int kThreads, class T>
__device__ inline T block_sum(T value, T* partial) {
  value = warp_sum(value);
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = value;
  __syncthreads();
  T total = partial[0];
  for (int warp = 1; warp < kThreads / kWarp; ++warp) total += partial[warp];
  __syncthreads();
  return total;
}

}  // namespace sheaf
