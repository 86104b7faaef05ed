// The wrappers of mma.sync, wgmma, ldmatrix, cp.async and TMA. The CPU backend has none of them, nor have builds
// without device kernels.
#if SHEAF_DEVICE_KERNELS

#include <cmath>
#include <limits>

#include "tests/common/op_test.hpp"
#include "tests/ops/tile_kernels.hpp"

namespace sheaf {
namespace {

class TileTest : public test::OpTest {
 protected:
  void SetUp() override {
    OpTest::SetUp();
    if (!IsSkipped() && context().on_cpu()) GTEST_SKIP() << "device code only";
  }
};

struct Format {
  test::TileType type;
  int bits;  // of the significand, with the hidden one
  int least_exponent;
};
constexpr Format kBf16{test::TileType::bf16, 8, -126}, kF16{test::TileType::f16, 11, -14},
    kTf32{test::TileType::tf32, 11, -126};

/// x as a sum of at most `bits` bits, to nearest: even where halfway, away from zero for tf32.
double rounded(const Format& format, double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  const double unit = std::ldexp(1.0, std::max(std::ilogb(x), format.least_exponent) - format.bits + 1);
  return (format.type == test::TileType::tf32 ? std::round(x / unit) : std::nearbyint(x / unit)) * unit;
}

double value_of(const Format& format, uint16_t half) {
  const int fraction_bits = format.bits - 1;
  const int exponent = (half & 0x7fff) >> fraction_bits;
  const int fraction = half & ((1 << fraction_bits) - 1);
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, format.least_exponent - fraction_bits)
                    : std::ldexp(fraction + (1 << fraction_bits), exponent - 1 + format.least_exponent - fraction_bits);
  return half & 0x8000 ? -magnitude : magnitude;
}

// In a sum of products that are exact in float, a tensor core drops bits below the last bit of the largest: at most k +
// 1 errors of 2^-22 of the sum of magnitudes. Zero for C shows whether the product is right, a large C whether it is
// added.
TEST_P(TileTest, ProductAgreesWithOracle) {
  for (const Format& format : {kBf16, kF16, kTf32}) {
    const int k = format.type == test::TileType::tf32 ? 8 : 16;
    for (const bool by_column : {true, false}) {
      if (!by_column && format.type == test::TileType::tf32) continue;
      for (const float scale : {0.0f, 10.0f}) {
        const auto a = test::random_floats(16 * k, 1), b = test::random_floats(8 * k, 2),
                   c = test::random_floats(128, 3, -scale, scale);
        const Buffer<float> of_a(context(), a), of_b(context(), b), of_c(context(), c);
        test::Guarded<float> of_d(context(), 128);
        test::multiply_tile(context(), format.type, by_column, of_a.data(), of_b.data(), of_c.data(), of_d.data());
        of_d.expect_intact();
        const auto d = of_d.to_host();
        for (int row = 0; row < 16; ++row) {
          for (int column = 0; column < 8; ++column) {
            const auto at = static_cast<size_t>(row * 8 + column);
            double sum = c[at], magnitude = std::fabs(c[at]);
            for (int i = 0; i < k; ++i) {
              const int at_b = by_column ? column * k + i : i * 8 + column;
              const double product =
                  rounded(format, a[static_cast<size_t>(row * k + i)]) * rounded(format, b[static_cast<size_t>(at_b)]);
              sum += product;
              magnitude += std::fabs(product);
            }
            ASSERT_NEAR(d[at], sum, (k + 1) * 0x1p-22 * magnitude) << row << ", " << column << " depth " << k;
          }
        }
      }
    }
  }
}

TEST_P(TileTest, WarpgroupProductAgreesWithOracle) {
  constexpr int kDepth = 32;
  const auto a = test::random_floats(64 * kDepth, 1), b = test::random_floats(64 * kDepth, 2),
             c = test::random_floats(64 * 64, 3);
  const Buffer<float> of_a(context(), a), of_b(context(), b), of_c(context(), c);
  for (const Format& format : {kBf16, kF16}) {
    using test::WarpgroupOperands;
    for (const auto operands :
         {WarpgroupOperands::b_columns, WarpgroupOperands::b_rows, WarpgroupOperands::a_columns_b_rows}) {
      const bool by_column = operands == WarpgroupOperands::b_columns;
      test::Guarded<float> of_d(context(), 64 * 64);
      if (!test::multiply_by_warpgroup(context(), format.type, operands, of_a.data(), of_b.data(), of_c.data(),
                                       of_d.data())) {
        GTEST_SKIP() << "needs sm_90a";
      }
      of_d.expect_intact();
      const auto d = of_d.to_host();
      for (int row = 0; row < 64; ++row) {
        for (int column = 0; column < 64; ++column) {
          const auto at = static_cast<size_t>(row * 64 + column);
          double sum = c[at], magnitude = std::fabs(c[at]);
          for (int k = 0; k < kDepth; ++k) {
            const int at_b = by_column ? column * kDepth + k : k * 64 + column;
            const double product = rounded(format, a[static_cast<size_t>(row * kDepth + k)]) *
                                   rounded(format, b[static_cast<size_t>(at_b)]);
            sum += product;
            magnitude += std::fabs(product);
          }
          ASSERT_NEAR(d[at], sum, (kDepth + 1) * 0x1p-22 * magnitude) << row << ", " << column;
        }
      }
    }
  }
}

// Element (row, column) of matrix m is 64 m + 8 row + column.
TEST_P(TileTest, LanesGetTheirRowOrColumn) {
  for (const int n_matrices : {1, 2, 4}) {
    std::vector<uint32_t> matrices;
    for (uint32_t i = 0; i < static_cast<uint32_t>(n_matrices) * 64; i += 2) matrices.push_back(i | (i + 1) << 16);
    const Buffer<uint32_t> of_matrices(context(), matrices);
    for (const bool transposed : {false, true}) {
      test::Guarded<uint32_t> of_registers(context(), n_matrices * 32);
      test::load_tiles(context(), transposed, n_matrices, of_matrices.data(), of_registers.data());
      of_registers.expect_intact();
      const auto registers = of_registers.to_host();
      for (uint32_t i = 0; i < registers.size(); ++i) {
        const uint32_t matrix = i / 32, line = i % 32 / 4, place = i % 4 * 2;
        const uint32_t low = matrix * 64 + (transposed ? place * 8 + line : line * 8 + place);
        ASSERT_EQ(registers[i], low | (low + (transposed ? 8 : 1)) << 16)
            << "lane " << i % 32 << " of matrix " << matrix << ", " << n_matrices << " at once";
      }
    }
  }
}

TEST_P(TileTest, HalvesRoundToNearestEven) {
  std::vector<float> values = test::random_floats(2000, 4, -100.0f, 100.0f);
  // Halfway between neighbours, one ulp of float beside it, the least normal and subnormal.
  for (const float x : {1.0f + 0x1p-8f, 1.0f + 0x3p-8f, 1.0f + 0x1p-11f, 1.0f + 0x3p-11f, -1.0f - 0x1p-8f, 0.0f, -0.0f,
                        0x1p-14f, 0x1.8p-24f, 0x1p-25f, 0x1p-126f, 65504.0f}) {
    for (const float neighbour : {x, std::nextafterf(x, 1e30f), std::nextafterf(x, -1e30f)})
      values.push_back(neighbour);
  }
  if (values.size() % 2) values.push_back(1.0f);
  const Buffer<float> of_values(context(), values);
  for (const Format& format : {kBf16, kF16}) {
    test::Guarded<uint16_t> of_halves(context(), static_cast<int64_t>(values.size()));
    test::round_to_halves(context(), format.type, of_values.data(), static_cast<int>(values.size()), of_halves.data());
    of_halves.expect_intact();
    const auto halves = of_halves.to_host();
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(value_of(format, halves[i]), rounded(format, values[i])) << values[i] << " bits " << format.bits;
    }
  }
}

TEST_P(TileTest, CopiesArriveBeforeTheyAreUsed) {
  for (const int bytes : {4, 8, 16}) {
    for (const int n_rows : {0, 1, 2, 5}) {
      for (const int n : {4, 100, 256}) {
        const auto in = test::random_floats(n_rows * n + 4, 5);
        const Buffer<float> of_in(context(), in);
        test::Guarded<float> of_out(context(), n);
        test::sum_rows_by_copies(context(), bytes, of_in.data(), n_rows, n, of_out.data());
        of_out.expect_intact();
        const auto out = of_out.to_host();
        for (int i = 0; i < n; ++i) {
          float sum = 0;
          for (int row = 0; row < n_rows; ++row) sum += in[static_cast<size_t>(row * n + i)];
          ASSERT_EQ(out[static_cast<size_t>(i)], sum) << bytes << " bytes, " << n_rows << " rows, element " << i;
        }
      }
    }
  }
}

TEST_P(TileTest, BoxesArriveWithZerosOutsideTheTensor) {
  constexpr int64_t kGap = 8;  // elements between heads, which no box may hold
  for (const int64_t n_x : {int64_t{8}, int64_t{64}, int64_t{72}}) {
    constexpr int64_t n_y = 3, n_z = 10;
    const int64_t row = n_x + kGap, plane = 4 * row;
    std::vector<uint16_t> data(static_cast<size_t>(n_z * plane), 0xffff);
    for (int64_t i = 0; i < n_x * n_y * n_z; ++i) {
      const int64_t at = i / (n_x * n_y) * plane + i / n_x % n_y * row + i % n_x;
      data[static_cast<size_t>(at)] = static_cast<uint16_t>(i + 1);
    }
    const Buffer<uint16_t> of_data(context(), data);
    const test::Tensor tensor{of_data.data(), {n_x, n_y, n_z}, {2 * row, 2 * plane}};
    constexpr int kBoxY = 2, kBoxZ = 4, kBoxes = 3;
    for (const int x : {0, 64, -8}) {
      for (const int y : {0, 2}) {
        test::Guarded<uint16_t> of_out(context(), kBoxes * kBoxZ * kBoxY * 64);
        if (!test::copy_boxes(context(), tensor, kBoxY, kBoxZ, x, y, -1, kBoxes, of_out.data())) {
          GTEST_SKIP() << "needs sm_90a";
        }
        of_out.expect_intact();
        const auto out = of_out.to_host();
        for (int64_t i = 0; i < of_out.size(); ++i) {
          const int64_t at_x = x + i % 64, at_y = y + i / 64 % kBoxY, at_z = i / (64 * kBoxY) - 1;
          const bool inside = at_x >= 0 && at_x < n_x && at_y < n_y && at_z >= 0 && at_z < n_z;
          const int64_t expected = inside ? (at_z * n_y + at_y) * n_x + at_x + 1 : 0;
          ASSERT_EQ(out[static_cast<size_t>(i)], expected) << at_x << ", " << at_y << ", " << at_z << " of " << n_x;
        }
      }
    }
  }
}

SHEAF_ON_EVERY_BACKEND(TileTest);

}  // namespace
}  // namespace sheaf

#endif
