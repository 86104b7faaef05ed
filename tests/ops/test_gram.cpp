#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/gram.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf {
namespace {

std::vector<double> run(Context& context, int64_t n, int64_t dim, const std::vector<float>& x) {
  test::Guarded<float> in(context, x);
  test::Guarded<double> out(context, dim * dim);
  dense::gram(context, {.x = in.matrix(n, dim), .out = out.matrix(dim, dim)});
  out.expect_intact();
  return out.to_host();
}

class GramTest : public test::OpTest {};

TEST_P(GramTest, AgreesWithOracle) {
  // Tiles of 64 columns; pieces of 256 rows, of which the last may be short, and 32 longer ones.
  for (const int64_t dim : {1, 3, 16, 63, 64, 65, 130}) {
    for (const int64_t n : {1, 15, 64, 255, 257, 600}) {
      const std::vector<float> x = test::random_floats(n * dim, 300);
      const std::vector<double> got = run(context(), n, dim, x);
      const ref::Sums expected = ref::gram(n, dim, x);
      for (int64_t i = 0; i < dim; ++i) {
        for (int64_t j = 0; j < dim; ++j) {
          const auto at = static_cast<size_t>(i * dim + j);
          // An exact product, n - 1 additions in double, and the oracle's rounding to double.
          const double bound = static_cast<double>(n + 1) * 0x1.0p-53 * expected.magnitude[at];
          ASSERT_NEAR(got[at], expected.value[at], bound) << n << " x " << dim << ": " << i << ", " << j;
          ASSERT_EQ(got[at], got[static_cast<size_t>(j * dim + i)]) << i << ", " << j;
        }
      }
    }
  }
}

TEST_P(GramTest, ManyRowsInFewPieces) {
  constexpr int64_t kRows = 9001;  // 32 pieces of 282
  ASSERT_EQ(dense::gram_piece(kRows), 282);
  const std::vector<float> x = test::random_floats(kRows * 5, 301);
  const std::vector<double> got = run(context(), kRows, 5, x);
  const ref::Sums expected = ref::gram(kRows, 5, x);
  for (size_t at = 0; at < got.size(); ++at) {
    ASSERT_NEAR(got[at], expected.value[at], (kRows + 1) * 0x1.0p-53 * expected.magnitude[at]) << at;
  }
}

TEST_P(GramTest, TheSameBitsOnAnyThreads) {
  const std::vector<float> x = test::random_floats(1500 * 33, 302);
  const std::vector<double> first = run(context(), 1500, 33, x);
  for (const int n_threads : {1, 3, 8}) EXPECT_TRUE(test::same_bits(run(*make_context(n_threads), 1500, 33, x), first));
}

TEST_P(GramTest, NothingToDo) {
  EXPECT_TRUE(run(context(), 0, 0, {}).empty());
  EXPECT_TRUE(run(context(), 7, 0, {}).empty());
  EXPECT_EQ(run(context(), 0, 3, {}), std::vector<double>(9, 0.0));
}

TEST_P(GramTest, NaNStaysWithItsColumn) {
  std::vector<float> x = test::random_floats(40 * 3, 303);
  x[3 * 7 + 1] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<double> got = run(context(), 40, 3, x);
  for (const size_t at : {1u, 3u, 4u, 5u, 7u}) EXPECT_TRUE(std::isnan(got[at])) << at;
  for (const size_t at : {0u, 2u, 6u, 8u}) EXPECT_TRUE(std::isfinite(got[at])) << at;
}

TEST_P(GramTest, ShapesMustFit) {
  test::Guarded<float> x(context(), 12);
  test::Guarded<double> out(context(), 12);
  EXPECT_THROW(dense::gram(context(), {.x = x.matrix(4, 3), .out = out.matrix(3, 4)}), UsageError);
  EXPECT_THROW(dense::gram(context(), {.x = x.matrix(4, 3), .out = out.matrix(4, 3)}), UsageError);
  EXPECT_THROW(dense::gram(context(), {.x = x.matrix(3, 3), .out = {nullptr, 3, 3}}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(GramTest);

}  // namespace
}  // namespace sheaf
