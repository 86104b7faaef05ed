#pragma once
/// Products of small matrices by a warpgroup on sm_90a: four neighbouring warps that call together (PTX manual,
/// "Asynchronous warpgroup level matrix multiply-accumulate"). A is [64, 16] of 16-bit elements. It is in registers,
/// where warp w holds rows 16 w to 16 w + 15 in the layout of mma_m16n8k16, or in shared memory. B is [16, 64] in
/// shared memory. Results have the layout of mma.cuh, d[n] for columns 8 n to 8 n + 7. They are there after the wait:
///
///   warpgroup_fence();                        // registers of d and a have been written
///   warpgroup_multiply<..>(d, a, b, false);   // any number
///   warpgroup_commit();
///   warpgroup_wait<0>();
///
/// Until then nothing may touch d or a. The order of these statements is all that says so to the compiler;
/// scripts/wgmma_scan.py looks through its PTX for what it has moved in between.
///
/// Tiles are rows of 128 bytes in the 128-byte swizzle, which the hardware undoes: the 16-byte piece p of row r is at
/// p ^ (r % 8). They are aligned to 1024 bytes.

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/core/cuda/mma.cuh"

// Other architectures do not know the instructions; a kernel with them must not be launched there.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define SHEAF_WGMMA_ASM(...) asm volatile(__VA_ARGS__)
#else
#define SHEAF_WGMMA_ASM(...) __trap()
#endif

namespace sheaf {

constexpr int kWarpgroupRows = 64;
constexpr int kSwizzledRowBytes = 128;
constexpr int kSwizzleAlignment = 1024;

/// The place of a byte of a tile, counted from the tile's beginning.
__device__ inline int swizzled(int row, int byte) { return row * kSwizzledRowBytes + (byte ^ (row % 8 * 16)); }

/// Address in shared memory.
__device__ inline uint32_t shared_address(const void* pointer) {
#if defined(SHEAF_SIMT)
  return static_cast<uint32_t>(static_cast<const unsigned char*>(pointer) - ::simt::dynamic_shared());
#else
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
#endif
}

/// Matrix descriptor of B. If the tile's rows are columns of B (k runs along a row), `tile` is the piece of the first
/// row at which k begins, a multiple of 32 bytes from the row's start. If they are rows of B (columns of B run along a
/// row), `tile` is a row whose number is a multiple of 8. For A the same holds, with its 64 rows in place of B's
/// columns.
__device__ inline uint64_t swizzled_operand(const void* tile) {
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62;
  constexpr uint64_t kStride = 8 * kSwizzledRowBytes >> 4;  // from eight rows to the next
  // The leading offset, in bits 16 to 29, is not read: 64 elements are one row of the pattern.
  return kSwizzle128 | kStride << 32 | uint64_t{1} << 16 | (shared_address(tile) & 0x3ffffu) >> 4;
}

/// Products that begin after the next barrier can read what this thread wrote to shared memory.
__device__ inline void fence_for_products() {
#if !defined(SHEAF_SIMT)
  SHEAF_WGMMA_ASM("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

__device__ inline void warpgroup_fence() {
#if defined(SHEAF_SIMT)
  ::simt::warpgroup_fence();
#else
  SHEAF_WGMMA_ASM("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

/// The products since the last commit form a group.
__device__ inline void warpgroup_commit() {
#if defined(SHEAF_SIMT)
  ::simt::warpgroup_commit();
#else
  SHEAF_WGMMA_ASM("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}

/// Waits until at most the latest kGroups groups are still running.
template <int kGroups>
__device__ inline void warpgroup_wait() {
#if defined(SHEAF_SIMT)
  ::simt::warpgroup_wait(kGroups);
#else
  SHEAF_WGMMA_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroups) : "memory");
#endif
}

// d and whether to add to it; the operands, numbered from 32, stand in between.
#define SHEAF_WGMMA_M64N64K16(TYPE, A, B, ACCUMULATE, TRANSPOSED, ...)                                              \
  SHEAF_WGMMA_ASM(                                                                                                  \
      "{\n"                                                                                                         \
      ".reg .pred accumulate;\n"                                                                                    \
      "setp.ne.b32 accumulate, " ACCUMULATE                                                                         \
      ", 0;\n"                                                                                                      \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE                                                   \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, " \
      "%23, %24, %25, %26, %27, %28, %29, %30, %31}, " A ", " B ", accumulate, 1, 1, " TRANSPOSED                   \
      ";\n"                                                                                                         \
      "}"                                                                                                           \
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),    \
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),    \
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),    \
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),    \
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])                                                  \
      : __VA_ARGS__                                                                                                 \
      : "memory")
#define SHEAF_WGMMA_REGISTERS(TYPE, TRANSPOSED)                                                                  \
  SHEAF_WGMMA_M64N64K16(TYPE, "{%32, %33, %34, %35}", "%36", "%37", TRANSPOSED, "r"(a[0]), "r"(a[1]), "r"(a[2]), \
                        "r"(a[3]), "l"(b), "r"(accumulate ? 1 : 0))
#define SHEAF_WGMMA_SHARED(TYPE) \
  SHEAF_WGMMA_M64N64K16(TYPE, "%32", "%33", "%34", "1, 1", "l"(a), "l"(b), "r"(accumulate ? 1 : 0))

/// d = a b, or d += a b. kRowsOfB: the tile's rows are rows of B, else columns of B.
template <MmaType kType, bool kRowsOfB>
__device__ inline void warpgroup_multiply(float (&d)[8][4], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
#if defined(SHEAF_SIMT)
  ::simt::warpgroup_multiply(kType == MmaType::bf16, kRowsOfB, d, a, b, accumulate);
#else
  if constexpr (kType == MmaType::bf16 && kRowsOfB) {
    SHEAF_WGMMA_REGISTERS("bf16", "1");
  } else if constexpr (kType == MmaType::bf16) {
    SHEAF_WGMMA_REGISTERS("bf16", "0");
  } else if constexpr (kRowsOfB) {
    SHEAF_WGMMA_REGISTERS("f16", "1");
  } else {
    SHEAF_WGMMA_REGISTERS("f16", "0");
  }
#endif
}

/// The same with a in shared memory too. The rows of both tiles are k: those of A's columns, and those of B.
template <MmaType kType>
__device__ inline void warpgroup_multiply(float (&d)[8][4], uint64_t a, uint64_t b, bool accumulate) {
#if defined(SHEAF_SIMT)
  ::simt::warpgroup_multiply(kType == MmaType::bf16, d, a, b, accumulate);
#else
  if constexpr (kType == MmaType::bf16) {
    SHEAF_WGMMA_SHARED("bf16");
  } else {
    SHEAF_WGMMA_SHARED("f16");
  }
#endif
}

}  // namespace sheaf
