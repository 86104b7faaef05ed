#include "tests/simt/api/tensor_core.hpp"

#include <bit>
#include <cmath>

namespace simt {
namespace {

double from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
double from_f16(uint16_t bits) { return static_cast<double>(std::bit_cast<_Float16>(bits)); }
/// A tensor core does not look at the low 13 bits.
double from_tf32(uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); }

MmaOperand& operand_of(void* const operands[32], int lane) { return *static_cast<MmaOperand*>(operands[lane]); }

// Lane 4 g + t holds, of A: rows g and g + 8 in turn, columns from t on, then those half of k further; of B: column g
// and the same k; of C: rows g and g + 8, columns 2 t and 2 t + 1. `element(registers, i)` is element i of a lane's k /
// 4 in a row.
template <int kDepth, class Element>
void multiply(void* const operands[32], const Element& element) {
  constexpr int kEach = kDepth / 8;  // elements in a register
  double a[16][kDepth], b[kDepth][8];
  for (int lane = 0; lane < 32; ++lane) {
    const MmaOperand& mine = operand_of(operands, lane);
    const int g = lane / 4, t = lane % 4;
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < kEach; ++i) {
        const int k = half * kDepth / 2 + t * kEach + i;
        a[g][k] = element(mine.a[2 * half], i);
        a[g + 8][k] = element(mine.a[2 * half + 1], i);
        b[k][g] = element(mine.b[half], i);
      }
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    MmaOperand& mine = operand_of(operands, lane);
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      double sum = mine.c[i];
      for (int k = 0; k < kDepth; ++k) sum += a[row][k] * b[k][column];
      mine.d[i] = static_cast<float>(sum);
    }
  }
}

uint16_t half_of(uint32_t bits, int i) { return static_cast<uint16_t>(bits >> 16 * i); }

void multiply_bf16(void* const operands[32], uint32_t) {
  multiply<16>(operands, [](uint32_t bits, int i) { return from_bf16(half_of(bits, i)); });
}
void multiply_f16(void* const operands[32], uint32_t) {
  multiply<16>(operands, [](uint32_t bits, int i) { return from_f16(half_of(bits, i)); });
}
void multiply_tf32(void* const operands[32], uint32_t) {
  multiply<8>(operands, [](uint32_t bits, int) { return from_tf32(bits); });
}

// Lane 4 r + c gets elements 2 c and 2 c + 1 of row r, or of column r.
template <bool kTransposed>
void load(void* const operands[32], uint32_t) {
  const auto element = [&](unsigned matrix, unsigned row, unsigned column) {
    return uint32_t{static_cast<LoadOperand*>(operands[matrix * 8 + row])->row[column]};
  };
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned r = lane / 4, c = lane % 4 * 2;
    for (unsigned m = 0; m < 4; ++m) {
      static_cast<LoadOperand*>(operands[lane])->result[m] =
          kTransposed ? element(m, c, r) | element(m, c + 1, r) << 16 : element(m, r, c) | element(m, r, c + 1) << 16;
    }
  }
}

}  // namespace

const Collective kMmaBf16{"mma bf16", false, false, multiply_bf16};
const Collective kMmaF16{"mma f16", false, false, multiply_f16};
const Collective kMmaTf32{"mma tf32", false, false, multiply_tf32};
const Collective kLoadMatrix{"ldmatrix", false, false, load<false>};
const Collective kLoadMatrixTransposed{"ldmatrix.trans", false, false, load<true>};

uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

uint16_t to_f16(float x) {
  return std::isnan(x) ? uint16_t{0x7fff} : std::bit_cast<uint16_t>(static_cast<_Float16>(x));
}

uint32_t to_tf32(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return std::isfinite(x) ? (bits + 0x1000u) & 0xffffe000u : bits;
}

}  // namespace simt
