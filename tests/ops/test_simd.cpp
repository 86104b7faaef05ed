#include <bit>
#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "kernels/core/simd.hpp"

namespace sheaf {
namespace {

// The size of a unit in the last place of a float next to `value`.
double unit_of(double value) {
  int exponent;
  std::frexp(value, &exponent);
  return std::ldexp(1.0, exponent - 24);
}

TEST(VectorizableSigmoid, IsOffByThreeUnitsAtMost) {
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += 1999) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (!(std::fabs(x) <= 87.0f)) continue;
    const double right = 1.0 / (1.0 + std::exp(-static_cast<double>(x)));
    ASSERT_LE(std::fabs(vectorizable_sigmoid(x) - right), 3.0 * unit_of(right)) << x;
  }
}

TEST(VectorizableSigmoid, EndsAtZeroAndOne) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float far : {88.0f, 104.0f, 1e30f, kInfinity}) {
    EXPECT_EQ(vectorizable_sigmoid(far), 1.0f);
    EXPECT_NEAR(vectorizable_sigmoid(-far), 0.0, 0x1.0p-126);
  }
  EXPECT_EQ(vectorizable_sigmoid(0.0f), 0.5f);
  EXPECT_EQ(vectorizable_sigmoid(-0.0f), 0.5f);
  EXPECT_TRUE(std::isnan(vectorizable_sigmoid(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace sheaf
