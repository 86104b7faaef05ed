#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/metrics/binary.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/metrics.hpp"

namespace sheaf {
namespace {

std::vector<double> run(Context& context, const std::vector<float>& probabilities, const std::vector<uint8_t>& labels) {
  const Buffer<float> p(context, probabilities);
  const Buffer<uint8_t> y(context, labels);
  test::Guarded<double> out(context, metrics::kBinaryColumns);
  metrics::binary(context, {.probabilities = p.view(), .labels = y.view(), .out = out.view()});
  out.expect_intact();
  return out.to_host();
}

std::vector<uint8_t> random_labels(int64_t n, uint32_t seed) {
  std::vector<uint8_t> labels;
  for (const int32_t label : test::random_ints(n, seed, 0, 1)) labels.push_back(static_cast<uint8_t>(label));
  return labels;
}

void expect_right(const std::vector<double>& out, const std::vector<float>& p, const std::vector<uint8_t>& y) {
  const auto expected = ref::binary(p, y);
  const double n = static_cast<double>(p.size());
  EXPECT_EQ(out[metrics::kAccuracy], expected[0]);
  // n additions of terms of at most -log(1e-7) < 17 in double, and a few roundings a term.
  EXPECT_NEAR(out[metrics::kLogLoss], expected[1], (n + 8) * 0x1.0p-53 * 17.0 * 8.0);
  EXPECT_NEAR(out[metrics::kBrier], expected[3], (n + 8) * 0x1.0p-53);
  if (std::isnan(expected[2])) {
    EXPECT_TRUE(std::isnan(out[metrics::kAuc]));
  } else {
    EXPECT_DOUBLE_EQ(out[metrics::kAuc], expected[2]);  // whole numbers and halves until one division
  }
}

class BinaryTest : public test::OpTest {};

TEST_P(BinaryTest, AgreesWithOracle) {
  for (const int64_t n : {1, 2, 31, 33, 255, 257, 4095, 4096, 4097, 9000}) {
    const std::vector<float> p = test::random_floats(n, 40, 0.0f, 1.0f);
    const std::vector<uint8_t> y = random_labels(n, 41);
    expect_right(run(context(), p, y), p, y);
  }
}

TEST_P(BinaryTest, TiesCountHalf) {
  std::vector<float> p;
  for (const int32_t level : test::random_ints(2000, 42, 0, 4)) p.push_back(static_cast<float>(level) / 4.0f);
  const std::vector<uint8_t> y = random_labels(2000, 43);
  expect_right(run(context(), p, y), p, y);
  EXPECT_EQ(run(context(), std::vector<float>(2000, 0.25f), y)[metrics::kAuc], 0.5);
  EXPECT_EQ(run(context(), {0.0f, -0.0f}, {0, 1})[metrics::kAuc], 0.5);
  EXPECT_EQ(run(context(), {0.1f, 0.9f}, {0, 1})[metrics::kAuc], 1.0);
  EXPECT_EQ(run(context(), {0.9f, 0.1f}, {0, 1})[metrics::kAuc], 0.0);
}

TEST_P(BinaryTest, OneClassHasNoAuc) {
  const std::vector<float> p = test::random_floats(100, 44, 0.0f, 1.0f);
  for (const uint8_t label : {uint8_t{0}, uint8_t{1}}) {
    const std::vector<uint8_t> y(100, label);
    expect_right(run(context(), p, y), p, y);
  }
}

TEST_P(BinaryTest, CertainAndWrongIsClamped) {
  const std::vector<double> out = run(context(), {0.0f, 1.0f}, {1, 0});
  EXPECT_NEAR(out[metrics::kLogLoss], -std::log(1e-7), 1e-8);  // 1 - (1 - 1e-7) keeps nine digits
  EXPECT_EQ(out[metrics::kBrier], 1.0);
}

TEST_P(BinaryTest, NanAndNothingGiveNan) {
  std::vector<float> p = test::random_floats(50, 45, 0.0f, 1.0f);
  p[17] = std::numeric_limits<float>::quiet_NaN();
  for (const double value : run(context(), p, random_labels(50, 46))) EXPECT_TRUE(std::isnan(value));
  for (const double value : run(context(), {}, {})) EXPECT_TRUE(std::isnan(value));
}

TEST_P(BinaryTest, SameBitsOnEveryRunAndAnyThreads) {
  const std::vector<float> p = test::random_floats(20000, 47, 0.0f, 1.0f);
  const std::vector<uint8_t> y = random_labels(20000, 48);
  const std::vector<double> first = run(context(), p, y);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), p, y), first) << threads;
}

TEST_P(BinaryTest, RefusesWrongArguments) { EXPECT_THROW(run(context(), {0.5f}, {0, 1}), UsageError); }

SHEAF_ON_EVERY_BACKEND(BinaryTest);

}  // namespace
}  // namespace sheaf
