#pragma once
/// The one way a kernel starts: <<<>>> under nvcc, the fiber executor in SIMT test builds.
///
///   launch(row_sum_kernel, n_blocks, kBlock, shared_bytes, context, in, out);
///
/// A kernel declares dynamic shared memory as SHEAF_DYNAMIC_SHARED(bytes), a 16-byte aligned unsigned char array.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "kernels/core/context.hpp"
#include "kernels/core/cuda/check.cuh"
#include "kernels/core/cuda/device_scope.cuh"
#include "kernels/core/error.hpp"

#if defined(SHEAF_SIMT)
#define SHEAF_DYNAMIC_SHARED(name) unsigned char* name = ::simt::dynamic_shared()
#else
#define SHEAF_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

namespace sheaf {

inline cudaStream_t cuda_stream(const Context& context) { return static_cast<cudaStream_t>(context.stream()); }

/// Blocks needed for `n` elements, at least one. More than a grid can have is a DeviceError.
inline unsigned blocks_for(int64_t n, int64_t per_block) {
  constexpr int64_t kMostBlocks = 0x7fffffff;
  const int64_t blocks = n <= 0 ? 1 : (n + per_block - 1) / per_block;
  if (blocks > kMostBlocks) {
    throw DeviceError("a kernel would need " + std::to_string(blocks) + " blocks, more than a grid can have",
                      "use a smaller batch, or --device cpu");
  }
  return static_cast<unsigned>(blocks);
}

namespace detail {
inline std::mutex& shared_memory_mutex() {
  static std::mutex mutex;
  return mutex;
}
}  // namespace detail

/// Lets the kernel have `bytes` of dynamic shared memory on the current device. Without this, its static and dynamic
/// shared memory together may be 48 KiB. What was allowed once is never taken back, for other threads may launch.
template <class... Parameters>
void allow_shared(void (*kernel)(Parameters...), size_t bytes) {
  if (bytes == 0) return;
  const std::lock_guard lock(detail::shared_memory_mutex());
  cudaFuncAttributes attributes{};
  cuda_check(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes");
  if (static_cast<int64_t>(bytes) <= attributes.maxDynamicSharedSizeBytes) return;
  cuda_check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
             "cudaFuncSetAttribute");
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, const Context& context,
            Arguments... arguments) {
  const DeviceScope scope(context.device().ordinal);
  allow_shared(kernel, shared_bytes);
#if defined(SHEAF_SIMT)
  const ::simt::Launch shape{reinterpret_cast<const void*>(kernel),
                             grid,
                             block,
                             shared_bytes,
                             ::simt::parameter_bytes<Parameters...>(),
                             ::simt::launching_device(cuda_stream(context))};
  ::simt::on_stream(cuda_stream(context),
                    [=] { ::simt::launch(shape, [=] { kernel(static_cast<Parameters>(arguments)...); }); });
#else
  kernel<<<grid, block, shared_bytes, cuda_stream(context)>>>(static_cast<Parameters>(arguments)...);
  cuda_check(cudaGetLastError(), "kernel launch");
#endif
}

}  // namespace sheaf
