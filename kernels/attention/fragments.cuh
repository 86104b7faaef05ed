#pragma once
/// One warp multiplies tiles in shared memory, in the same way for every element type: 16 rows of A by 8 columns of B
/// in a product, over kStep terms. Rows of a tile are `pitch` bytes apart. The pitch is an odd multiple of 16, so no
/// two of eight rows share banks.
///
/// Of a result, lane 4 g + t holds rows g and g + 8, columns 2 t and 2 t + 1: c[0], c[1] of row g, c[2], c[3] of row g
/// + 8.

#include <cuda_runtime.h>

#include "kernels/core/cuda/mma.cuh"
#include "kernels/core/cuda/warp.cuh"
#include "kernels/core/half.hpp"

namespace sheaf::attention::cuda {

__device__ inline int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int quad_row() { return lane() / 4; }     // g
__device__ inline int quad_column() { return lane() % 4; }  // t

/// 16-bit elements.
template <MmaType kType>
struct HalfMath {
  static constexpr int kStep = 16;
  static constexpr int kBytes = 2;
  struct A {
    uint32_t r[4];
  };
  struct B {
    uint32_t r[2];
  };

  /// Rows row .. row + 15, columns k .. k + kStep - 1 of the tile.
  static __device__ A load_a(const unsigned char* tile, int pitch, int row, int k) {
    A a;
    load_matrices<false>(a.r, tile + (row + lane() % 16) * pitch + (k + lane() / 16 * 8) * kBytes);
    return a;
  }
  /// B(k, n) is row n, column k of the tile: columns n .. n + 7 and n + 8 .. n + 15 of B.
  static __device__ void load_b_rows(B (&b)[2], const unsigned char* tile, int pitch, int n, int k) {
    uint32_t r[4];
    const int row = n + lane() / 16 * 8 + lane() % 8;
    load_matrices<false>(r, tile + row * pitch + (k + lane() / 8 % 2 * 8) * kBytes);
    split(b, r);
  }
  /// B(k, n) is row k, column n of the tile, in the order of terms that from_result gives A.
  static __device__ void load_b_columns(B (&b)[2], const unsigned char* tile, int pitch, int k, int n) {
    uint32_t r[4];
    load_matrices<true>(r, tile + (k + lane() % 16) * pitch + (n + lane() / 16 * 8) * kBytes);
    split(b, r);
  }
  /// A from kStep / 8 neighbouring results.
  static __device__ A from_result(const float (*c)[4]) {
    return {{pack_halves<kType>(c[0][0], c[0][1]), pack_halves<kType>(c[0][2], c[0][3]),
             pack_halves<kType>(c[1][0], c[1][1]), pack_halves<kType>(c[1][2], c[1][3])}};
  }
  static __device__ void multiply(float (&d)[4], const A& a, const B& b) { mma_m16n8k16<kType>(d, a.r, b.r, d); }
  static __device__ void store_pair(unsigned char* to, float x, float y) {
    *reinterpret_cast<uint32_t*>(to) = pack_halves<kType>(x, y);
  }
  static __device__ float load(const unsigned char* from) {
    const uint32_t bits = *reinterpret_cast<const uint16_t*>(from);
    if constexpr (kType == MmaType::bf16) return to_float(BFloat16{static_cast<uint16_t>(bits)});
    return to_float(Half{static_cast<uint16_t>(bits)});
  }

 private:
  static __device__ void split(B (&b)[2], const uint32_t (&r)[4]) {
    b[0] = {{r[0], r[1]}};
    b[1] = {{r[2], r[3]}};
  }
};

/// float elements. x = high + low + a rest below 2^-22 |x|; both parts are tf32. kProducts 3 leaves out only low * low,
/// which is about as large as that rest. kProducts 1 computes high * high only.
template <int kProducts>
struct FloatMath {
  static_assert(kProducts == 1 || kProducts == 3);
  static constexpr int kStep = 8;
  static constexpr int kBytes = 4;
  static constexpr int kParts = kProducts == 3 ? 2 : 1;
  struct A {
    uint32_t r[kParts][4];
  };
  struct B {
    uint32_t r[kParts][2];
  };

  static __device__ A load_a(const unsigned char* tile, int pitch, int row, int k) {
    const unsigned char* from = tile + (row + quad_row()) * pitch + (k + quad_column()) * kBytes;
    A a;
    divide(a, 0, load(from));
    divide(a, 1, load(from + 8 * pitch));
    divide(a, 2, load(from + 4 * kBytes));
    divide(a, 3, load(from + 8 * pitch + 4 * kBytes));
    return a;
  }
  static __device__ void load_b_rows(B (&b)[2], const unsigned char* tile, int pitch, int n, int k) {
    const unsigned char* from = tile + (n + quad_row()) * pitch + (k + quad_column()) * kBytes;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      divide(b[half], 0, load(from + half * 8 * pitch));
      divide(b[half], 1, load(from + half * 8 * pitch + 4 * kBytes));
    }
  }
  // Term t of a product is column 2 t of a result, term t + 4 column 2 t + 1.
  static __device__ void load_b_columns(B (&b)[2], const unsigned char* tile, int pitch, int k, int n) {
    const unsigned char* from = tile + (k + 2 * quad_column()) * pitch + (n + quad_row()) * kBytes;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      divide(b[half], 0, load(from + half * 8 * kBytes));
      divide(b[half], 1, load(from + half * 8 * kBytes + pitch));
    }
  }
  static __device__ A from_result(const float (*c)[4]) {
    A a;
    divide(a, 0, c[0][0]);
    divide(a, 1, c[0][2]);
    divide(a, 2, c[0][1]);
    divide(a, 3, c[0][3]);
    return a;
  }
  static __device__ void multiply(float (&d)[4], const A& a, const B& b) {
    if constexpr (kProducts == 3) {
      mma_m16n8k8_tf32(d, a.r[1], b.r[0], d);
      mma_m16n8k8_tf32(d, a.r[0], b.r[1], d);
    }
    mma_m16n8k8_tf32(d, a.r[0], b.r[0], d);
  }
  static __device__ void store_pair(unsigned char* to, float x, float y) {
    *reinterpret_cast<float2*>(to) = make_float2(x, y);
  }
  static __device__ float load(const unsigned char* from) { return *reinterpret_cast<const float*>(from); }

 private:
  template <class Fragment>
  static __device__ void divide(Fragment& fragment, int i, float x) {
    const uint32_t high = to_tf32(x);
    fragment.r[0][i] = high;
    if constexpr (kProducts == 3) fragment.r[1][i] = to_tf32(x - __uint_as_float(high));
  }
};

/// c[n][..] = sum over k of a's rows row .. row + 15 times rows n * 8 .. of b: kColumns / 8 results over kDim terms.
template <class Math, int kDim, int kColumns>
__device__ void multiply_rows(float (&c)[kColumns / 8][4], const unsigned char* a, int row, const unsigned char* b,
                              int pitch) {
#pragma unroll
  for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) c[n][i] = 0.0f;
  }
  // All 16 steps of 128 floats at once would take more registers than there are.
#pragma unroll 8
  for (int k = 0; k < kDim; k += Math::kStep) {
    const typename Math::A left = Math::load_a(a, pitch, row, k);
#pragma unroll
    for (int n = 0; n < kColumns; n += 16) {
      typename Math::B right[2];
      Math::load_b_rows(right, b, pitch, n, k);
      Math::multiply(c[n / 8], left, right[0]);
      Math::multiply(c[n / 8 + 1], left, right[1]);
    }
  }
}

/// sums[n][..] += sum over the columns of `weights` times the rows of b: kDim / 8 results over kColumns terms.
template <class Math, int kDim, int kColumns>
__device__ void multiply_columns(float (&sums)[kDim / 8][4], const float (&weights)[kColumns / 8][4],
                                 const unsigned char* b, int pitch) {
#pragma unroll
  for (int k = 0; k < kColumns; k += Math::kStep) {
    const typename Math::A left = Math::from_result(&weights[k / 8]);
#pragma unroll
    for (int n = 0; n < kDim; n += 16) {
      typename Math::B right[2];
      Math::load_b_columns(right, b, pitch, k, n);
      Math::multiply(sums[n / 8], left, right[0]);
      Math::multiply(sums[n / 8 + 1], left, right[1]);
    }
  }
}

/// 2^x, 0 for -infinity; off by 2^-22 at most.
__device__ inline float exp2_fast(float x) {
#if defined(SHEAF_SIMT)
  return exp2f(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

}  // namespace sheaf::attention::cuda
