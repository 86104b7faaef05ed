#pragma once
/// Tensor copies (TMA) on sm_90a. One thread starts copies of boxes of a tensor from global to shared memory. An
/// mbarrier there tells all threads when the boxes have arrived (PTX manual, "cp.async.bulk.tensor", "mbarrier").
///
///   barrier_init(&barrier);                     // one thread, then __syncthreads()
///   barrier_expect(&barrier, n_bytes);          // one thread, once a phase, and by it:
///   tensor_copy(tile, map, x, y, z, &barrier);  // any number, n_bytes together
///   barrier_wait(&barrier, phase % 2);          // every thread that goes on to read, or to begin the next phase
///
/// The "async proxy" makes the copies. So if threads wrote to the place of a box, or to a place that a copy or wgmma
/// reads, they must call fence_for_products() and a barrier before. After waiting for a wgmma, the place that it read
/// needs a barrier only.

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "kernels/core/cuda/check.cuh"
#include "kernels/core/cuda/wgmma.cuh"

#if !defined(SHEAF_SIMT)
#include <cuda.h>
#endif

namespace sheaf {

#if defined(SHEAF_SIMT)
using TensorMap = ::simt::TensorMap;
#else
using TensorMap = CUtensorMap;
#endif

/// Elements of 16 bits, the first dimension without gaps. Data and strides are aligned to 16 bytes; a stride is a
/// multiple of the dimension before.
struct TensorShape {
  uint64_t sizes[3];    // elements, 1 to 2^32
  uint64_t strides[2];  // bytes below 2^40, of the second and third dimension
};

#if !defined(SHEAF_SIMT)
namespace detail {

/// Uses the runtime to find the driver's function, because a program must start where there is no driver.
inline decltype(&cuTensorMapEncodeTiled) tensor_map_encoder() {
  constexpr const char* kName = "cuTensorMapEncodeTiled";
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
#if CUDART_VERSION >= 12050
  cuda_check(cudaGetDriverEntryPointByVersion(kName, &found, 12000, cudaEnableDefault, &result), kName);
#else
  cuda_check(cudaGetDriverEntryPoint(kName, &found, cudaEnableDefault, &result), kName);
#endif
  if (result != cudaDriverEntryPointSuccess || found == nullptr) {
    throw DeviceError(std::string("the driver has no ") + kName, "install a driver of CUDA 12 or later");
  }
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
}

}  // namespace detail
#endif

/// For boxes of 64 x box_y x box_z elements, with rows of 128 bytes in the swizzle of wgmma.cuh, and zeros outside the
/// tensor. The map is a parameter of the kernel, `const __grid_constant__`.
inline TensorMap swizzled_map(const void* data, const TensorShape& shape, uint32_t box_y, uint32_t box_z) {
  const uint32_t box[3] = {kSwizzledRowBytes / 2, box_y, box_z};
#if defined(SHEAF_SIMT)
  return ::simt::tensor_map(data, 2, shape.sizes, shape.strides, box);
#else
  static const auto encode = detail::tensor_map_encoder();
  TensorMap map;
  const uint32_t steps[3] = {1, 1, 1};
  const CUresult status = encode(&map, CU_TENSOR_MAP_DATA_TYPE_UINT16, 3, const_cast<void*>(data), shape.sizes,
                                 shape.strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) {
    throw DeviceError("cuTensorMapEncodeTiled: CUresult " + std::to_string(static_cast<int>(status)),
                      "`--device cpu` always works");
  }
  return map;
#endif
}

/// For n_arrivals in a phase; barrier_expect is one of them.
__device__ inline void barrier_init(uint64_t* barrier, uint32_t n_arrivals = 1) {
#if defined(SHEAF_SIMT)
  ::simt::mbarrier_init(barrier, n_arrivals);
#else
  SHEAF_WGMMA_ASM("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(n_arrivals) : "memory");
  SHEAF_WGMMA_ASM("fence.mbarrier_init.release.cluster;" ::: "memory");
  fence_for_products();
#endif
}

__device__ inline void barrier_expect(uint64_t* barrier, uint32_t n_bytes) {
#if defined(SHEAF_SIMT)
  ::simt::mbarrier_expect(barrier, n_bytes);
#else
  SHEAF_WGMMA_ASM("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(n_bytes)
                  : "memory");
#endif
}

__device__ inline void barrier_arrive(uint64_t* barrier) {
#if defined(SHEAF_SIMT)
  ::simt::mbarrier_arrive(barrier);
#else
  SHEAF_WGMMA_ASM("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
#endif
}

/// Waits for the phase of this parity; the first one is 0.
__device__ inline void barrier_wait(uint64_t* barrier, uint32_t parity) {
#if defined(SHEAF_SIMT)
  ::simt::mbarrier_wait(barrier, parity);
#else
  uint32_t done = 1;
  do {
    SHEAF_WGMMA_ASM(
        "{\n"
        ".reg .pred done;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n"
        "selp.u32 %0, 1, 0, done;\n"
        "}"
        : "=r"(done)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
  } while (done == 0);
#endif
}

__device__ inline void prefetch_map([[maybe_unused]] const TensorMap& map) {
#if !defined(SHEAF_SIMT)
  SHEAF_WGMMA_ASM("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
#endif
}

/// Begins to copy the box whose first element is (x, y, z) to `shared`, aligned to 1024 bytes.
__device__ inline void tensor_copy(void* shared, const TensorMap& map, int x, int y, int z, uint64_t* barrier) {
#if defined(SHEAF_SIMT)
  ::simt::tensor_copy(shared, map, x, y, z, barrier);
#else
  SHEAF_WGMMA_ASM(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::
          "r"(shared_address(shared)),
      "l"(&map), "r"(x), "r"(y), "r"(z), "r"(shared_address(barrier))
      : "memory");
#endif
}

}  // namespace sheaf
