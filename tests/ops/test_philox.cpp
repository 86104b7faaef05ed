#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "kernels/core/philox.hpp"

namespace sheaf {
namespace {

// Known answers of the authors' distribution (kat_vectors, philox4x32 10).
TEST(Philox, MatchesPublishedVectors) {
  const Random4 zeros = philox4x32({{0, 0, 0, 0}}, 0, 0);
  EXPECT_EQ(zeros.v[0], 0x6627e8d5u);
  EXPECT_EQ(zeros.v[1], 0xe169c58du);
  EXPECT_EQ(zeros.v[2], 0xbc57ac4cu);
  EXPECT_EQ(zeros.v[3], 0x9b00dbd8u);
  const uint32_t ones = 0xffffffffu;
  const Random4 full = philox4x32({{ones, ones, ones, ones}}, ones, ones);
  EXPECT_EQ(full.v[0], 0x408f276du);
  EXPECT_EQ(full.v[1], 0x41c83b0eu);
  EXPECT_EQ(full.v[2], 0xa20bc7c6u);
  EXPECT_EQ(full.v[3], 0x6d5451fdu);
  const Random4 pi = philox4x32({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u);
  EXPECT_EQ(pi.v[0], 0xd16cfe09u);
  EXPECT_EQ(pi.v[1], 0x94fdccebu);
  EXPECT_EQ(pi.v[2], 0x5001e420u);
  EXPECT_EQ(pi.v[3], 0x24126ea1u);
}

TEST(Philox, EveryPartOfTheKeyMatters) {
  const RandomKey key{7, Purpose::negative, 3};
  std::set<uint32_t> draws{
      random_u32(key, 1, 0),
      random_u32({8, Purpose::negative, 3}, 1, 0),
      random_u32({7, Purpose::dropout, 3}, 1, 0),
      random_u32({7, Purpose::negative, 4}, 1, 0),
      random_u32(key, 2, 0),
      random_u32(key, 1, 1),
      random_u32(key, 1, 4),
      random_u32(key, (uint64_t{1} << 32) + 1, 0),
      random_u32({7 + (uint64_t{1} << 32), Purpose::negative, 3}, 1, 0),
  };
  EXPECT_EQ(draws.size(), 9u);
}

TEST(Philox, UniformStaysInsideAndHasTheRightMean) {
  EXPECT_EQ(uniform01(0), 0.0f);
  EXPECT_LT(uniform01(0xffffffffu), 1.0f);
  constexpr int kDraws = 1 << 16;
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) sum += uniform01(random_u32({1, Purpose::test, 0}, static_cast<uint64_t>(i), 0));
  const double sigma = std::sqrt(1.0 / 12.0 / kDraws);
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * sigma);
}

TEST(Philox, BoundedCoversItsRange) {
  std::set<uint32_t> seen;
  for (uint32_t i = 0; i < 1000; ++i) seen.insert(bounded(random_u32({2, Purpose::test, 0}, i, 0), 7));
  EXPECT_EQ(seen, (std::set<uint32_t>{0, 1, 2, 3, 4, 5, 6}));
}

}  // namespace
}  // namespace sheaf
