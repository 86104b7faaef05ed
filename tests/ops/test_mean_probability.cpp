#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/mean_probability.hpp"
#include "kernels/dense/mean_probability_tile.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n_users, n_items, dim;
  std::vector<float> users, items, user_bias, item_bias, bias;
  float slope = 1.0f, offset = 0.0f;
};

Case random_case(int64_t n_users, int64_t n_items, int64_t dim) {
  return {n_users,
          n_items,
          dim,
          test::random_floats(n_users * dim, 310),
          test::random_floats(n_items * dim, 311),
          test::random_floats(n_users, 312),
          test::random_floats(n_items, 313),
          test::random_floats(1, 314),
          1.7f,
          -0.6f};
}

// No vectors: the logits are the biases alone.
Case bias_case(std::vector<float> user_bias, std::vector<float> item_bias, float bias) {
  const auto n_users = static_cast<int64_t>(user_bias.size()), n_items = static_cast<int64_t>(item_bias.size());
  return {n_users, n_items, 0, {}, {}, std::move(user_bias), std::move(item_bias), {bias}};
}

std::vector<float> run(Context& context, const Case& c) {
  const Buffer<float> users(context, c.users), items(context, c.items), user_bias(context, c.user_bias),
      item_bias(context, c.item_bias), bias(context, c.bias);
  test::Guarded<float> out(context, c.n_items);
  dense::mean_probability(context, {.users = users.matrix(c.n_users, c.dim),
                                    .items = items.matrix(c.n_items, c.dim),
                                    .user_bias = user_bias.view(),
                                    .item_bias = item_bias.view(),
                                    .bias = bias.view(),
                                    .slope = c.slope,
                                    .offset = c.offset,
                                    .out = out.view()});
  out.expect_intact();
  return out.to_host();
}

void expect_right(Context& context, const Case& c) {
  SCOPED_TRACE(testing::Message() << c.n_users << " users, " << c.n_items << " items, dim " << c.dim);
  const std::vector<float> got = run(context, c);
  const std::vector<ref::Mean> expected =
      ref::mean_probability(c.dim, test::to_double(c.users), test::to_double(c.items), test::to_double(c.user_bias),
                            test::to_double(c.item_bias), c.bias[0], {c.slope, c.offset});
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i].value, expected[i].bound) << "item " << i;
  }
}

class MeanProbabilityTest : public test::OpTest {};

TEST_P(MeanProbabilityTest, AgreesWithOracle) {
  for (const int64_t n_users : {1, 2, 31, 33, 127, 128, 129, 400}) expect_right(context(), random_case(n_users, 9, 8));
  for (const int64_t n_items : {0, 1, 63, 64, 65, 200}) expect_right(context(), random_case(21, n_items, 5));
  for (const int64_t dim : {0, 1, 7, 32, 33, 129}) expect_right(context(), random_case(14, 10, dim));
}

TEST_P(MeanProbabilityTest, ByHand) {
  // Users at logits 0 and 2000 (sure), and with the item's -2000 at -2000 (never) and 0.
  const Case c = bias_case({1.0f, 2001.0f}, {0.0f, -2000.0f}, -1.0f);
  EXPECT_EQ(run(context(), c), (std::vector<float>{0.75f, 0.25f}));
}

TEST_P(MeanProbabilityTest, ExtremeLogits) {
  Case c = random_case(40, 20, 4);
  for (const float extreme : {80.0f, 104.0f, 1e20f}) {
    for (size_t u = 0; u < c.user_bias.size(); ++u) c.user_bias[u] = u % 2 ? extreme : -extreme;
    expect_right(context(), c);
    for (float& bias : c.user_bias) bias = -extreme;
    expect_right(context(), c);
  }
}

TEST_P(MeanProbabilityTest, ASlopeOfZeroLeavesTheOffset) {
  Case c = random_case(50, 6, 4);
  c.slope = 0.0f;
  c.offset = std::log(3.0f);
  for (const float mean : run(context(), c)) EXPECT_NEAR(mean, 0.75f, 12.0 * test::kRound);
}

// A float sum of so many equal numbers would drift; a double one does not.
TEST_P(MeanProbabilityTest, ManyUsersAddUpInDouble) {
  const auto n_users = size_t{1} << 19;
  const Case c = bias_case(std::vector<float>(n_users, 0.7f), {0.1f}, 0.03f);
  expect_right(context(), c);
}

// (SHEAF_SCAN is the CPU's: elsewhere it changes nothing.)
TEST_P(MeanProbabilityTest, EveryInstructionSetAgreesWithOracle) {
  const dense::cpu::ProbabilityKernel* kernels[dense::cpu::kMostProbabilityKernels];
  const int32_t n = dense::cpu::usable_probability_kernels(kernels, dense::cpu::kMostProbabilityKernels);
  for (int32_t k = 0; k < n; ++k) {
    SCOPED_TRACE(kernels[k]->name);
    setenv("SHEAF_SCAN", kernels[k]->name, 1);
    for (const int64_t n_users : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 130})
      expect_right(context(), random_case(n_users, 9, 8));
    for (const int64_t n_items : {1, 7, 8, 9, 23, 24, 25, 47, 48, 49, 63, 64, 65, 200}) {
      expect_right(context(), random_case(21, n_items, 5));
    }
    for (const int64_t dim : {0, 1, 2, 33}) expect_right(context(), random_case(14, 60, dim));
    Case c = random_case(10, 50, 4);
    for (const float extreme : {80.0f, 87.4f, 87.6f, 104.0f, 1e20f}) {
      for (size_t u = 0; u < c.user_bias.size(); ++u) c.user_bias[u] = u % 2 ? extreme : -extreme;
      expect_right(context(), c);
      for (float& bias : c.user_bias) bias = -extreme;
      expect_right(context(), c);
    }
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(run(context(), bias_case({0.0f}, {kInfinity, 0.0f}, 0.0f)), (std::vector<float>{1.0f, 0.5f}));
    EXPECT_NEAR(run(context(), bias_case({0.0f}, {-kInfinity}, 0.0f))[0], 0.0, 0x1.0p-126);
    const std::vector<float> with_nan =
        run(context(), bias_case({0.0f, 1.0f}, {std::numeric_limits<float>::quiet_NaN(), 0.0f}, 0.0f));
    EXPECT_TRUE(std::isnan(with_nan[0]) && !std::isnan(with_nan[1]));
  }
  unsetenv("SHEAF_SCAN");
}

// One user and no vectors: the mean is the sigmoid itself.
TEST_P(MeanProbabilityTest, SigmoidsAreOffByFourUnitsAtMost) {
  std::vector<float> logits;
  for (int i = -87000; i <= 87000; i += 7) logits.push_back(static_cast<float>(i) * 1e-3f);
  const dense::cpu::ProbabilityKernel* kernels[dense::cpu::kMostProbabilityKernels];
  const int32_t n = dense::cpu::usable_probability_kernels(kernels, dense::cpu::kMostProbabilityKernels);
  for (int32_t k = 0; k < n; ++k) {
    setenv("SHEAF_SCAN", kernels[k]->name, 1);
    const std::vector<float> means = run(context(), bias_case({0.0f}, logits, 0.0f));
    for (size_t i = 0; i < logits.size(); ++i) {
      const double right = 1.0 / (1.0 + std::exp(-static_cast<double>(logits[i])));
      int exponent;
      std::frexp(right, &exponent);
      ASSERT_NEAR(means[i], right, 4.0 * std::ldexp(1.0, exponent - 24)) << kernels[k]->name << ", " << logits[i];
    }
  }
  unsetenv("SHEAF_SCAN");
}

TEST_P(MeanProbabilityTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(1000, 333, 17);
  const std::vector<float> first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(test::same_bits(run(*make_context(threads), c), first)) << threads;
}

TEST_P(MeanProbabilityTest, RefusesWrongArguments) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 64);
  float* m = memory.data();
  const dense::MeanProbabilityArgs good{.users = {m, 2, 4},
                                        .items = {m, 3, 4},
                                        .user_bias = {m, 2},
                                        .item_bias = {m, 3},
                                        .bias = {m, 1},
                                        .out = {m + 32, 3}};
  EXPECT_NO_THROW(dense::mean_probability(context(), good));
  const auto refuses = [&](const auto& spoil) {
    dense::MeanProbabilityArgs bad = good;
    spoil(bad);
    EXPECT_THROW(dense::mean_probability(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.users.rows = a.user_bias.size = 0; });
  refuses([](auto& a) { a.users.cols = 3; });
  refuses([](auto& a) { a.user_bias.size = 3; });
  refuses([](auto& a) { a.item_bias.size = 2; });
  refuses([](auto& a) { a.bias.size = 0; });
  refuses([](auto& a) { a.out.size = 4; });
}

SHEAF_ON_EVERY_BACKEND(MeanProbabilityTest);

}  // namespace
}  // namespace sheaf
