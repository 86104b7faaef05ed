#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/ease_weights.hpp"
#include "kernels/dense/spd_inverse.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf {
namespace {

std::vector<float> run(Context& context, int64_t n, const std::vector<float>& inverse) {
  test::Guarded<float> matrix(context, inverse);
  dense::ease_weights(context, {.matrix = matrix.matrix(n, n)});
  matrix.expect_intact();
  return matrix.to_host();
}

void expect_right(Context& context, int64_t n) {
  SCOPED_TRACE(testing::Message() << "n = " << n);
  const std::vector<float> inverse = test::random_floats(n * n, 520);
  const std::vector<float> got = run(context, n, inverse);
  const std::vector<double> expected = ref::ease_weights(n, test::to_double(inverse));
  ASSERT_EQ(got.size(), expected.size());
  // One rounding.
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], test::kRound * std::abs(expected[i])) << i;
}

class EaseWeightsTest : public test::OpTest {};

// Blocks of 128 columns and 16 rows.
TEST_P(EaseWeightsTest, AgreesWithOracle) {
  for (const int64_t n : {1, 2, 15, 16, 17, 31, 33, 127, 128, 129, 257, 400}) expect_right(context(), n);
}

TEST_P(EaseWeightsTest, ByHand) {
  EXPECT_EQ(run(context(), 1, {3.0f}), (std::vector<float>{0.0f}));
  EXPECT_EQ(run(context(), 2, {2, 1, -3, 4}), (std::vector<float>{0, -0.25f, 1.5f, 0}));
}

TEST_P(EaseWeightsTest, ZerosAndNanStayInTheirColumns) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> got = run(context(), 3, {0, 1, 2, 3, kNan, 5, -6, 7, 8});
  EXPECT_EQ(got[0], 0.0f);
  EXPECT_EQ(got[3], -kInfinity);
  EXPECT_EQ(got[6], kInfinity);
  EXPECT_TRUE(std::isnan(got[1]) && std::isnan(got[7]));
  EXPECT_EQ(got[4], 0.0f);
  EXPECT_EQ(got[2], -0.25f);
  EXPECT_EQ(got[5], -0.625f);
  EXPECT_EQ(got[8], 0.0f);
}

TEST_P(EaseWeightsTest, NothingToDo) { EXPECT_TRUE(run(context(), 0, {}).empty()); }

// What defines EASE: with its weights, |X - X B|^2 + lambda |B|^2 has no slope but along the diagonal, which is held at
// 0. The slope is 2 ((G + lambda I) B - G), here by the two ops from counts of 60 users.
TEST_P(EaseWeightsTest, WithTheInverseItSolvesEase) {
  constexpr int64_t kUsers = 60, kN = 70;
  constexpr double kLambda = 5.0;
  const test::HostCsr bought = test::random_csr(kUsers, kN, 12, 521, false);
  std::vector<double> gram(kN * kN);
  const auto place = [](int64_t r, int64_t c) { return static_cast<size_t>(r * kN + c); };
  for (int64_t u = 0; u < kUsers; ++u) {
    const auto begin = bought.columns.begin() + bought.row_offsets[static_cast<size_t>(u)];
    const auto end = bought.columns.begin() + bought.row_offsets[static_cast<size_t>(u) + 1];
    for (auto a = begin; a != end; ++a) {
      for (auto b = begin; b != end; ++b) gram[place(*a, *b)] += 1.0;
    }
  }
  std::vector<double> ridged = gram;
  for (int64_t i = 0; i < kN; ++i) ridged[place(i, i)] += kLambda;
  Buffer<float> matrix(context(), std::vector<float>(ridged.begin(), ridged.end()));
  Buffer<int32_t> failed(context(), 1);
  dense::spd_inverse(context(), {.matrix = matrix.matrix(kN, kN), .failed = failed.view()});
  dense::ease_weights(context(), {.matrix = matrix.matrix(kN, kN)});
  EXPECT_EQ(failed.to_host()[0], 0);
  const std::vector<float> weights = matrix.to_host();
  // How far the inverse may be off says how far the weights may be: |dB| <= (|dP| + |B| |dP_jj|) / P_jj and one
  // rounding.
  const ref::BoundedMatrix inverse = ref::spd_inverse(kN, ridged);
  for (int64_t i = 0; i < kN; ++i) {
    for (int64_t j = 0; j < kN; ++j) {
      if (i == j) continue;
      double slope = -gram[place(i, j)], bound = 0.0;
      for (int64_t k = 0; k < kN; ++k) {
        const double weight = weights[place(k, j)];
        slope += ridged[place(i, k)] * weight;
        if (k == j) continue;
        const double own = inverse.value[place(j, j)] - inverse.bound[place(j, j)];
        bound +=
            ridged[place(i, k)] * ((inverse.bound[place(k, j)] + std::abs(weight) * inverse.bound[place(j, j)]) / own +
                                   2.0 * test::kRound * std::abs(weight));
      }
      ASSERT_NEAR(slope, 0.0, bound) << i << ", " << j;
      ASSERT_LT(bound, 0.05);  // a slope is a number of users
    }
  }
}

TEST_P(EaseWeightsTest, SameBitsOnEveryRunAndAnyThreads) {
  constexpr int64_t kN = 150;
  const std::vector<float> inverse = test::random_floats(kN * kN, 522);
  const std::vector<float> first = run(context(), kN, inverse);
  for (const int threads : {1, 2, 3}) {
    EXPECT_TRUE(test::same_bits(run(*make_context(threads), kN, inverse), first)) << threads;
  }
}

TEST_P(EaseWeightsTest, RefusesWhatIsNotSquare) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 16);
  EXPECT_THROW(dense::ease_weights(context(), {memory.matrix(2, 8)}), UsageError);
  EXPECT_NO_THROW(dense::ease_weights(context(), {memory.matrix(4, 4)}));
}

SHEAF_ON_EVERY_BACKEND(EaseWeightsTest);

}  // namespace
}  // namespace sheaf
