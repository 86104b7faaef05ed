#pragma once
/// The one way a kernel starts: <<<>>> under nvcc, the fiber executor in SIMT test builds.
///
///   launch(row_sum_kernel, n_blocks, kBlock, shared_bytes, context, in, out);
///
/// A kernel declares dynamic shared memory as SHEAF_DYNAMIC_SHARED(bytes), a 16-byte aligned unsigned char array.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/core/context.hpp"
#include "kernels/core/cuda/check.cuh"

#if defined(SHEAF_SIMT)
#define SHEAF_DYNAMIC_SHARED(name) unsigned char* name = ::simt::dynamic_shared()
#else
#define SHEAF_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

namespace sheaf {

inline cudaStream_t cuda_stream(const Context& context) { return static_cast<cudaStream_t>(context.stream()); }

/// Blocks needed for `n` elements, at least one.
inline unsigned blocks_for(int64_t n, int64_t per_block) {
  return static_cast<unsigned>(n <= 0 ? 1 : (n + per_block - 1) / per_block);
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, const Context& context,
            Arguments... arguments) {
#if defined(SHEAF_SIMT)
  ::simt::on_stream(cuda_stream(context), [=] {
    ::simt::launch(reinterpret_cast<const void*>(kernel), grid, block, shared_bytes,
                   [=] { kernel(static_cast<Parameters>(arguments)...); });
  });
#else
  constexpr size_t kDefaultShared = 48 * 1024;
  if (shared_bytes > kDefaultShared) {
    cuda_check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
        "cudaFuncSetAttribute");
  }
  kernel<<<grid, block, shared_bytes, cuda_stream(context)>>>(static_cast<Parameters>(arguments)...);
  cuda_check(cudaGetLastError(), "kernel launch");
#endif
}

}  // namespace sheaf
