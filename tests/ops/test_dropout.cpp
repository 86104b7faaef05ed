#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/dropout.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf {
namespace {

constexpr RandomKey kKey{.seed = 77, .purpose = Purpose::dropout, .step = 5};

std::vector<float> run(Context& context, const std::vector<float>& x, int64_t rows, int64_t cols, float rate,
                       RandomKey key = kKey, int64_t first_row = 0) {
  test::Guarded<float> device(context, x);
  dense::dropout(context, {.rate = rate, .key = key, .first_row = first_row, .x = device.matrix(rows, cols)});
  device.expect_intact();
  return device.to_host();
}

std::vector<float> ones(int64_t n) { return std::vector<float>(static_cast<size_t>(n), 1.0f); }

void expect_right(Context& context, int64_t rows, int64_t cols, float rate, int64_t first_row) {
  const std::vector<float> x = test::random_floats(rows * cols, 230);
  const std::vector<float> got = run(context, x, rows, cols, rate, kKey, first_row);
  const std::vector<double> expected = ref::dropout(test::to_double(x), cols, rate, kKey, first_row);
  for (size_t i = 0; i < x.size(); ++i) {
    // 1 - rate, its inverse and the product round once each; a dropped element is exactly zero.
    EXPECT_NEAR(got[i], expected[i], 3.01 * test::kRound * std::abs(expected[i]))
        << rows << " x " << cols << ", rate " << rate << ", element " << i;
  }
}

class DropoutTest : public test::OpTest {};

TEST_P(DropoutTest, AgreesWithOracle) {
  for (const int64_t rows : {0, 1, 31, 33, 127, 129, 255, 257}) expect_right(context(), rows, 10, 0.4f, 0);
  for (const int64_t cols : {0, 1, 2, 3, 4, 5, 31, 33, 255, 257}) expect_right(context(), 9, cols, 0.25f, 3);
  for (const float rate : {0.0f, 0x1.0p-24f, 0.1f, 0.5f, 0.9f, 1.0f - 0x1.0p-24f}) {
    expect_right(context(), 40, 17, rate, int64_t{1} << 40);
  }
}

TEST_P(DropoutTest, KeepsTheShareAndTheMean) {
  constexpr int64_t kRows = 1000, kCols = 100;
  constexpr double kCount = kRows * kCols;
  for (const float rate : {0.1f, 0.5f, 0.8f}) {
    const std::vector<float> got = run(context(), ones(kRows * kCols), kRows, kCols, rate);
    double kept = 0.0, sum = 0.0;
    for (const float value : got) {
      kept += value != 0.0f;
      sum += static_cast<double>(value);
    }
    const double keep = 1.0 - static_cast<double>(rate);
    // Five standard deviations of a binomial share.
    const double deviations = 5.0 * std::sqrt(keep * (1.0 - keep) / kCount);
    EXPECT_NEAR(kept / kCount, keep, deviations) << rate;
    EXPECT_NEAR(sum / kCount, 1.0, deviations / keep + 1e-6) << rate;
  }
}

TEST_P(DropoutTest, ColumnsAndNeighboursAreDroppedAlike) {
  constexpr int64_t kRows = 2000, kCols = 33;
  const std::vector<float> got = run(context(), ones(kRows * kCols), kRows, kCols, 0.5f);
  std::vector<int64_t> by_column(kCols);
  for (size_t i = 0; i < got.size(); ++i) by_column[i % kCols] += got[i] != 0.0f;
  // A column's count has half the variance of a count that chi-square expects, hence half the limit.
  EXPECT_LT(test::chi_square(by_column, std::vector<double>(kCols, kRows / 2.0)), test::chi_square_limit(kCols) / 2.0);

  std::vector<int64_t> by_pair(4);  // none, the second, the first or both of two neighbours kept
  for (size_t i = 0; i + 1 < got.size(); i += 2) ++by_pair[(got[i] != 0.0f ? 2u : 0u) + (got[i + 1] != 0.0f ? 1u : 0u)];
  EXPECT_LT(test::chi_square(by_pair, std::vector<double>(4, static_cast<double>(got.size() / 2) / 4.0)),
            test::chi_square_limit(3));
}

TEST_P(DropoutTest, RateZeroLeavesTheBits) {
  std::vector<float> x = test::random_floats(70, 231);
  x[3] = -0.0f;
  x[4] = std::nanf("");
  EXPECT_TRUE(test::same_bits(run(context(), x, 7, 10, 0.0f), x));
}

TEST_P(DropoutTest, TheGradientGetsTheSameMask) {
  // Forward x -> mask * x / (1 - rate) is linear, so the same call on a gradient is the backward.
  constexpr int64_t kRows = 50, kCols = 13;
  const std::vector<float> x = test::random_floats(kRows * kCols, 232, 0.5f, 1.0f);
  const std::vector<float> grad = test::random_floats(kRows * kCols, 233, 0.5f, 1.0f);
  const std::vector<float> y = run(context(), x, kRows, kCols, 0.3f);
  const std::vector<float> d_x = run(context(), grad, kRows, kCols, 0.3f);
  const std::vector<double> exact_grad = test::to_double(grad);
  const auto forward = [&](const std::vector<double>& input) {
    const std::vector<double> out = ref::dropout(input, kCols, 0.3f, kKey, 0);
    double sum = 0.0;
    for (size_t i = 0; i < out.size(); ++i) sum += out[i] * exact_grad[i];
    return sum;
  };
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(y[i] == 0.0f, d_x[i] == 0.0f) << i;
    // Three roundings, and a linear function's difference: double's rounding of a sum below 1000, over 2h.
    EXPECT_NEAR(d_x[i], test::central_difference(forward, test::to_double(x), i, 0x1.0p-10),
                3.01 * test::kRound * 1.5 + 1e-9)
        << i;
  }
}

TEST_P(DropoutTest, ASplitBatchDrawsTheSameMask) {
  constexpr int64_t kRows = 300, kCols = 7;
  const std::vector<float> x = test::random_floats(kRows * kCols, 234);
  const std::vector<float> whole = run(context(), x, kRows, kCols, 0.6f, kKey, 11);
  for (const int64_t part : {1, 64, 129}) {
    std::vector<float> joined;
    for (int64_t first = 0; first < kRows; first += part) {
      const int64_t rows = std::min(part, kRows - first);
      const std::vector<float> piece(x.begin() + first * kCols, x.begin() + (first + rows) * kCols);
      const std::vector<float> got = run(context(), piece, rows, kCols, 0.6f, kKey, 11 + first);
      joined.insert(joined.end(), got.begin(), got.end());
    }
    EXPECT_TRUE(test::same_bits(joined, whole)) << part;
  }
}

TEST_P(DropoutTest, EveryPartOfTheKeyCounts) {
  const std::vector<float> first = run(context(), ones(640), 64, 10, 0.5f);
  const auto differs = [&](RandomKey key, int64_t first_row) {
    return !test::same_bits(run(context(), ones(640), 64, 10, 0.5f, key, first_row), first);
  };
  EXPECT_TRUE(differs({78, Purpose::dropout, 5}, 0));
  EXPECT_TRUE(differs({77, Purpose::test, 5}, 0));
  EXPECT_TRUE(differs({77, Purpose::dropout, 6}, 0));
  EXPECT_TRUE(differs(kKey, 1));
  EXPECT_TRUE(differs(kKey, int64_t{1} << 32));
}

TEST_P(DropoutTest, DroppedNanAndInfinityBecomeZero) {
  std::vector<float> x(500, std::nanf(""));
  for (size_t i = 0; i < x.size(); i += 2) x[i] = -HUGE_VALF;
  const std::vector<double> mask = ref::dropout(std::vector<double>(500, 1.0), 5, 0.5f, kKey, 0);
  const std::vector<float> got = run(context(), x, 100, 5, 0.5f);
  for (size_t i = 0; i < x.size(); ++i) {
    if (mask[i] == 0.0) {
      EXPECT_EQ(got[i], 0.0f);
    } else {
      EXPECT_FALSE(std::isfinite(got[i]));
    }
  }
}

TEST_P(DropoutTest, SameBitsOnEveryRunAndAnyThreads) {
  const std::vector<float> x = test::random_floats(2001 * 21, 235);
  const std::vector<float> first = run(context(), x, 2001, 21, 0.35f);
  for (const int threads : {1, 2, 3}) {
    EXPECT_TRUE(test::same_bits(run(*make_context(threads), x, 2001, 21, 0.35f), first)) << threads;
  }
}

TEST_P(DropoutTest, RefusesWrongArguments) {
  for (const float rate : {-0.1f, 1.0f, 1.5f, std::nanf("")}) {
    EXPECT_THROW(run(context(), ones(4), 2, 2, rate), UsageError) << rate;
  }
  EXPECT_THROW(run(context(), ones(4), 2, 2, 0.5f, kKey, -1), UsageError);
}

SHEAF_ON_EVERY_BACKEND(DropoutTest);

}  // namespace
}  // namespace sheaf
