#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/optim/clip.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf {
namespace {

using Gradients = std::vector<std::vector<float>>;

Gradients clipped(Context& context, const Gradients& gradients, float max_norm) {
  std::vector<test::Guarded<float>> buffers;
  std::vector<VectorView<float>> views;
  buffers.reserve(gradients.size());
  for (const std::vector<float>& gradient : gradients) views.push_back(buffers.emplace_back(context, gradient).view());
  optim::clip(context, {.gradients = views, .max_norm = max_norm});
  Gradients after;
  for (test::Guarded<float>& buffer : buffers) {
    buffer.expect_intact();
    after.push_back(buffer.to_host());
  }
  return after;
}

double norm_of(const Gradients& gradients) {
  double squares = 0.0;
  for (const auto& gradient : gradients) {
    for (const float g : gradient) squares += static_cast<double>(g) * static_cast<double>(g);
  }
  return std::sqrt(squares);
}

class ClipTest : public test::OpTest {};

TEST_P(ClipTest, AllGradientsShrinkByOneFactor) {
  const Gradients before{test::random_floats(20000, 80), {}, {3.0f}, test::random_floats(8192, 81)};
  const double norm = norm_of(before);
  const Gradients after = clipped(context(), before, 0.5f);
  for (size_t g = 0; g < before.size(); ++g) {
    for (size_t i = 0; i < before[g].size(); ++i) {
      // A sum of 28193 squares in double, a root and a quotient round the factor to within 1e-11; then to float, and
      // the product.
      const double expected = 0.5 / norm * static_cast<double>(before[g][i]);
      EXPECT_NEAR(after[g][i], expected, (2.0 * test::kRound + 1e-11) * std::abs(expected)) << g << " " << i;
    }
  }
}

TEST_P(ClipTest, BelowTheNormNothingChanges) {
  const Gradients before{{3.0f, 0.0f}, {4.0f}};
  for (const float norm : {5.0f, 5.5f, 1e30f}) EXPECT_EQ(clipped(context(), before, norm), before) << norm;
  EXPECT_EQ(clipped(context(), before, 2.5f), (Gradients{{1.5f, 0.0f}, {2.0f}}));
  EXPECT_EQ(clipped(context(), {}, 1.0f), Gradients{});
}

TEST_P(ClipTest, SameBitsOnAnyThreads) {
  const Gradients before{test::random_floats(50001, 82), test::random_floats(9000, 83)};
  const Gradients first = clipped(context(), before, 1.0f);
  for (const int threads : {1, 3}) EXPECT_EQ(clipped(*make_context(threads), before, 1.0f), first) << threads;
}

TEST_P(ClipTest, WhatIsNotFiniteStaysSo) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_FALSE(std::isfinite(clipped(context(), {{1.0f}, {bad}}, 1.0f)[1][0]));
  }
}

TEST_P(ClipTest, RefusesANormThatIsNotAboveZero) {
  for (const float norm : {0.0f, -1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_THROW(clipped(context(), {{1.0f}}, norm), UsageError);
  }
}

SHEAF_ON_EVERY_BACKEND(ClipTest);

}  // namespace
}  // namespace sheaf
