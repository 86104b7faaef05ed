#pragma once
/// Products of small matrices by tensor cores. All 32 lanes of a warp call together. Registers are as in the PTX
/// manual, "Matrix multiply-accumulate": lane 4 g + t holds rows g and g + 8, columns 2 t and 2 t + 1 of C and D.

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/core/half.hpp"

namespace sheaf {

enum class MmaType { bf16, f16 };

/// Two values rounded to nearest even, `low` in the low half of the register.
template <MmaType kType>
__device__ inline uint32_t pack_halves(float low, float high) {
#if defined(SHEAF_SIMT)
  const auto round = [](float x) { return uint32_t{kType == MmaType::bf16 ? ::simt::to_bf16(x) : ::simt::to_f16(x)}; };
  return round(low) | round(high) << 16;
#else
  uint32_t packed;
  if constexpr (kType == MmaType::bf16) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  }
  return packed;
#endif
}

/// The inverse: the element in the low half, or in the high half, of a register.
template <MmaType kType>
__device__ inline float unpack_half(uint32_t packed, bool high) {
  if constexpr (kType == MmaType::bf16) return __uint_as_float(high ? packed & 0xffff0000u : packed << 16);
  return to_float(Half{static_cast<uint16_t>(high ? packed >> 16 : packed)});
}

/// Rounded to 10 bits after the point, ties away from zero.
__device__ inline uint32_t to_tf32(float x) {
#if defined(SHEAF_SIMT)
  return ::simt::to_tf32(x);
#else
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
#endif
}

/// Loads matrices of 8 x 8 16-bit elements from shared memory, kMatrices (1, 2 or 4) at once. Lanes 8 i to 8 i + 7 give
/// the addresses of the rows of matrix i, 16 bytes each and aligned to 16. Lane 4 r + c gets elements 2 c and 2 c + 1
/// of row r; if transposed, of column r.
template <bool kTransposed, int kMatrices>
__device__ inline void load_matrices(uint32_t (&registers)[kMatrices], const void* row) {
  static_assert(kMatrices == 1 || kMatrices == 2 || kMatrices == 4);
#if defined(SHEAF_SIMT)
  ::simt::load_matrix(registers, row, kTransposed);
#else
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (kMatrices == 4 && kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(from)
                 : "memory");
  } else if constexpr (kMatrices == 4) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(from)
                 : "memory");
  } else if constexpr (kMatrices == 2 && kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(registers[0]), "=r"(registers[1])
                 : "r"(from)
                 : "memory");
  } else if constexpr (kMatrices == 2) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(registers[0]), "=r"(registers[1])
                 : "r"(from)
                 : "memory");
  } else if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                 : "=r"(registers[0])
                 : "r"(from)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(registers[0]) : "r"(from) : "memory");
  }
#endif
}

/// d = a b + c for a [16, 16] and b [16, 8] of 16-bit elements, c and d in float.
template <MmaType kType>
__device__ inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                    const float (&c)[4]) {
#if defined(SHEAF_SIMT)
  ::simt::mma(kType == MmaType::bf16 ? ::simt::kMmaBf16 : ::simt::kMmaF16, d, a, b, c);
#else
  if constexpr (kType == MmaType::bf16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %11, %12, %13};"
        : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %11, %12, %13};"
        : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
  }
#endif
}

/// d = a b + c for a [16, 8] and b [8, 8] in tf32: the low 13 bits of a float are not looked at.
__device__ inline void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                        const float (&c)[4]) {
#if defined(SHEAF_SIMT)
  ::simt::mma(::simt::kMmaTf32, d, a, b, c);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%10, %11, %12, %13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
#endif
}

}  // namespace sheaf
