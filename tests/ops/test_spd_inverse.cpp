#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/spd_inverse.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

size_t place(int64_t n, int64_t r, int64_t c) { return static_cast<size_t>(r * n + c); }

// H diag(e) H with eigenvalues e from 1 to 1 / condition in equal ratios, and H = I - 2 v v^T of a unit vector v.
std::vector<float> spectrum_matrix(int64_t n, double condition, uint32_t seed) {
  std::vector<double> v = test::to_double(test::random_floats(n, seed));
  std::vector<double> e(v.size());
  double length = 0.0, middle = 0.0;
  for (const double value : v) length += value * value;
  for (size_t i = 0; i < v.size(); ++i) {
    v[i] /= std::sqrt(length);
    e[i] = n > 1 ? std::pow(condition, -static_cast<double>(i) / static_cast<double>(n - 1)) : 1.0;
    middle += v[i] * e[i] * v[i];
  }
  std::vector<float> matrix(static_cast<size_t>(n * n));
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      const auto i = static_cast<size_t>(r), j = static_cast<size_t>(c);
      const double both = v[i] * v[j];  // the same bits at (c, r)
      const double value = (r == c ? e[i] : 0.0) - 2.0 * both * (e[i] + e[j]) + 4.0 * both * middle;
      matrix[place(n, r, c)] = static_cast<float>(value);
    }
  }
  return matrix;
}

// Counts of items bought together and `ridge` on the diagonal, as in EASE.
std::vector<float> gram_matrix(int64_t n, float ridge, uint32_t seed) {
  const test::HostCsr baskets = test::random_csr(4 * n, n, std::min<int64_t>(n, 20), seed, false);
  std::vector<float> matrix(static_cast<size_t>(n * n));
  for (int64_t b = 0; b < baskets.n_rows(); ++b) {
    const auto row = static_cast<size_t>(b);
    for (int64_t x = baskets.row_offsets[row]; x < baskets.row_offsets[row + 1]; ++x) {
      for (int64_t y = baskets.row_offsets[row]; y < baskets.row_offsets[row + 1]; ++y) {
        const auto i = static_cast<size_t>(x), j = static_cast<size_t>(y);
        matrix[place(n, baskets.columns[i], baskets.columns[j])] += 1.0f;
      }
    }
  }
  for (int64_t i = 0; i < n; ++i) matrix[place(n, i, i)] += ridge;
  return matrix;
}

struct Result {
  std::vector<float> matrix;
  int32_t failed;
};

Result run(Context& context, int64_t n, std::vector<float> matrix) {
  // Nobody may read the upper half.
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t c = r + 1; c < n; ++c) matrix[place(n, r, c)] = kNan;
  }
  test::Guarded<float> device(context, matrix);
  test::Guarded<int32_t> failed(context, std::vector<int32_t>{-7});
  dense::spd_inverse(context, {.matrix = device.matrix(n, n), .failed = failed.view()});
  device.expect_intact();
  failed.expect_intact();
  return {device.to_host(), failed.to_host()[0]};
}

void expect_right(Context& context, int64_t n, const std::vector<float>& matrix) {
  SCOPED_TRACE(testing::Message() << "n = " << n);
  const Result got = run(context, n, matrix);
  EXPECT_EQ(got.failed, 0);
  const ref::BoundedMatrix expected = ref::spd_inverse(n, test::to_double(matrix));
  ASSERT_EQ(got.matrix.size(), expected.value.size());
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      const size_t at = place(n, r, c);
      ASSERT_NEAR(got.matrix[at], expected.value[at], expected.bound[at]) << r << ", " << c;
      ASSERT_EQ(got.matrix[at], got.matrix[place(n, c, r)]) << r << ", " << c;
    }
  }
}

void expect_exact(Context& context, int64_t n) {
  SCOPED_TRACE(testing::Message() << "n = " << n);
  const ref::ExactInverse pair = ref::exact_inverse(n, 1 + n / 4, 500);
  const Result got = run(context, n, pair.matrix);
  EXPECT_EQ(got.failed, 0);
  ASSERT_EQ(got.matrix.size(), pair.inverse.size());
  for (size_t i = 0; i < got.matrix.size(); ++i) ASSERT_EQ(got.matrix[i], pair.inverse[i]) << "element " << i;
}

class SpdInverseTest : public test::OpTest {};

// Blocks of 64 (device) and 128 (CPU) pivots, tiles of 128 and 256.
TEST_P(SpdInverseTest, ExactWhereFloatIs) {
  for (const int64_t n : {1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 191, 193, 255, 256, 257, 321}) {
    expect_exact(context(), n);
  }
}

TEST_P(SpdInverseTest, AgreesWithOracle) {
  for (const int64_t n : {1, 2, 17, 63, 64, 65, 127, 128, 129, 200, 257}) {
    expect_right(context(), n, spectrum_matrix(n, 100.0, 501));
  }
  for (const double condition : {1.0, 10.0, 1000.0}) expect_right(context(), 140, spectrum_matrix(140, condition, 502));
  expect_right(context(), 150, gram_matrix(150, 20.0f, 503));
}

// The 2-norm of the error beside u times the condition number times the norm of the inverse; the condition number is
// known by construction. sqrt(n) is how rounding errors of mean zero add up (Higham and Mary, "A New Approach to
// Probabilistic Rounding Error Analysis", 2019).
TEST_P(SpdInverseTest, ErrorsGrowWithTheConditionAlone) {
  constexpr int64_t kN = 200;
  for (const double condition : {1e1, 1e2, 1e3, 1e4, 1e5}) {
    const std::vector<float> matrix = spectrum_matrix(kN, condition, 504);
    const ref::BoundedMatrix expected = ref::spd_inverse(kN, test::to_double(matrix));
    const Result got = run(context(), kN, matrix);
    EXPECT_EQ(got.failed, 0);
    double squares = 0.0;  // the Frobenius norm is no less than the 2-norm
    for (size_t i = 0; i < expected.value.size(); ++i) squares += std::pow(got.matrix[i] - expected.value[i], 2.0);
    // The norms of A and of its inverse are 1 and `condition`.
    EXPECT_LE(std::sqrt(squares), std::sqrt(kN) * test::kRound * condition * condition) << condition;
  }
}

TEST_P(SpdInverseTest, ByHand) {
  EXPECT_EQ(run(context(), 1, {4.0f}).matrix, (std::vector<float>{0.25f}));
  EXPECT_EQ(run(context(), 2, {2, 1, 1, 1}).matrix, (std::vector<float>{1, -1, -1, 2}));
}

TEST_P(SpdInverseTest, NothingToDo) {
  const Result none = run(context(), 0, {});
  EXPECT_TRUE(none.matrix.empty());
  EXPECT_EQ(none.failed, 0);
}

TEST_P(SpdInverseTest, SaysWhichPivotFails) {
  EXPECT_EQ(run(context(), 1, {0.0f}).failed, 1);
  EXPECT_EQ(run(context(), 2, {1, 1, 1, 1}).failed, 2);  // singular, exactly
  constexpr int64_t kN = 300;
  const std::vector<float> good = ref::exact_inverse(kN, kN / 4, 505).matrix;
  for (const int64_t at : {0, 1, 63, 64, 128, 255, 299}) {
    for (const float bad : {-1e6f, kNan, std::numeric_limits<float>::infinity()}) {
      std::vector<float> matrix = good;
      matrix[place(kN, at, at)] = bad;
      // A later one fails as well; the first is named.
      if (at + 20 < kN) matrix[place(kN, at + 20, at + 20)] = -1.0f;
      EXPECT_EQ(run(context(), kN, matrix).failed, 1 + at) << at << ": " << bad;
    }
    if (at == 0) continue;
    for (const float bad : {kNan, 1e6f}) {
      std::vector<float> matrix = good;
      matrix[place(kN, at, at / 2)] = bad;
      EXPECT_EQ(run(context(), kN, matrix).failed, 1 + at) << at << ", " << at / 2 << ": " << bad;
    }
  }
}

TEST_P(SpdInverseTest, SameBitsOnEveryRunAndAnyThreads) {
  constexpr int64_t kN = 333;
  const std::vector<float> matrix = spectrum_matrix(kN, 50.0, 506);
  const std::vector<float> first = run(context(), kN, matrix).matrix;
  for (const int threads : {1, 2, 3}) {
    EXPECT_TRUE(test::same_bits(run(*make_context(threads), kN, matrix).matrix, first)) << threads;
  }
}

TEST_P(SpdInverseTest, RefusesWrongShapes) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 16);
  Buffer<int32_t> flags = Buffer<int32_t>::zeros(context(), 2);
  EXPECT_THROW(dense::spd_inverse(context(), {memory.matrix(2, 8), flags.view().subview(0, 1)}), UsageError);
  EXPECT_THROW(dense::spd_inverse(context(), {memory.matrix(4, 4), flags.view()}), UsageError);
  EXPECT_THROW(dense::spd_inverse(context(), {memory.matrix(4, 4), {}}), UsageError);
  EXPECT_NO_THROW(dense::spd_inverse(context(), {memory.matrix(4, 4), flags.view().subview(0, 1)}));
}

SHEAF_ON_EVERY_BACKEND(SpdInverseTest);

}  // namespace
}  // namespace sheaf
