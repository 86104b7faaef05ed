#pragma once
/// mma.sync and ldmatrix on the executor, for a whole warp. Registers are laid out as in the PTX manual, section
/// "Matrix multiply-accumulate". A product is summed in double and rounded once, which is more exact than a tensor
/// core.

#include <cstdint>
#include <cstring>

#include "tests/simt/executor/executor.hpp"

namespace simt {

/// A is 16 x k, B k x 8, C and D 16 x 8, where a register holds two 16-bit elements (k = 16) or a tf32 (k = 8).
struct MmaOperand {
  uint32_t a[4];
  uint32_t b[2];
  float c[4];
  float d[4];
};

extern const Collective kMmaBf16;
extern const Collective kMmaF16;
extern const Collective kMmaTf32;

inline void mma(const Collective& kind, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                const float (&c)[4], const Where& where = Where::current()) {
  MmaOperand operand;
  std::memcpy(operand.a, a, sizeof(a));
  std::memcpy(operand.b, b, sizeof(b));
  std::memcpy(operand.c, c, sizeof(c));
  warp_exchange(kind, 0xffffffffu, &operand, where);
  std::memcpy(d, operand.d, sizeof(d));
}

/// Row of an 8 x 8 matrix of 16-bit elements that this lane brings: lanes 8 i to 8 i + 7 those of matrix i.
struct LoadOperand {
  uint16_t row[8];
  uint32_t result[4];
};

extern const Collective kLoadMatrix;
extern const Collective kLoadMatrixTransposed;

template <unsigned kMatrices>
void load_matrix(uint32_t (&result)[kMatrices], const void* row, bool transposed,
                 const Where& where = Where::current()) {
  static_assert(kMatrices == 1 || kMatrices == 2 || kMatrices == 4);
  LoadOperand operand{};
  if (thread_number() % 32 < 8 * kMatrices) {
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) fail("a row of ldmatrix is not aligned to 16 bytes", where);
    std::memcpy(operand.row, row, sizeof(operand.row));
  }
  warp_exchange(transposed ? kLoadMatrixTransposed : kLoadMatrix, 0xffffffffu, &operand, where);
  std::memcpy(result, operand.result, sizeof(result));
}

/// To nearest, ties to even; NaN stays NaN.
uint16_t to_bf16(float x);
uint16_t to_f16(float x);
/// To nearest, ties away from zero.
uint32_t to_tf32(float x);

}  // namespace simt
