#include <cmath>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/loss/bce.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/loss.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n_batch, group;
  std::vector<float> logits, row_weight;  // row_weight empty: 1
  float positive_weight;
};

Case random_case(int64_t n_batch, int64_t group, bool weighted) {
  Case c{n_batch, group, test::random_floats(n_batch * group, 200, -4.0f, 4.0f), {}, 1.75f};
  if (weighted) c.row_weight = test::random_floats(n_batch, 201, 0.0f, 3.0f);
  return c;
}

struct Output {
  std::vector<float> d_logits;
  double loss;
  bool same_bits(const Output& other) const { return test::same_bits(d_logits, other.d_logits) && loss == other.loss; }
};

// The op adds to the loss: it starts at `start`.
Output run(Context& context, const Case& c, double start = 0.0) {
  const Buffer<float> logits(context, c.logits), row_weight(context, c.row_weight);
  test::Guarded<float> d_logits(context, c.n_batch * c.group);
  test::Guarded<double> loss(context, std::vector<double>{start});
  loss::bce(context, {.logits = logits.matrix(c.n_batch, c.group),
                      .row_weight = row_weight.view(),
                      .positive_weight = c.positive_weight,
                      .d_logits = d_logits.matrix(c.n_batch, c.group),
                      .loss = loss.view()});
  d_logits.expect_intact();
  loss.expect_intact();
  EXPECT_TRUE(test::same_bits(logits.to_host(), c.logits)) << "the logits changed";
  return {d_logits.to_host(), loss.to_host()[0]};
}

ref::LossInput exact(const Case& c) {
  std::vector<double> weights = test::to_double(c.row_weight);
  weights.resize(static_cast<size_t>(c.n_batch), 1.0);
  return {c.n_batch, c.group, test::to_double(c.logits), weights, static_cast<double>(c.positive_weight)};
}

void expect_right(const Case& c, const Output& got) {
  SCOPED_TRACE(testing::Message() << "batch " << c.n_batch << ", group " << c.group);
  const ref::LossOutput expected = ref::bce(exact(c));
  // The bounds count the float roundings of each term; the terms add up in double.
  EXPECT_NEAR(got.loss, expected.loss, expected.loss_bound);
  ASSERT_EQ(got.d_logits.size(), expected.d_logits.size());
  for (size_t i = 0; i < got.d_logits.size(); ++i) {
    EXPECT_NEAR(got.d_logits[i], expected.d_logits[i], expected.d_bounds[i]) << "element " << i;
  }
}

class BceTest : public test::OpTest {};

TEST_P(BceTest, AgreesWithOracle) {
  for (const bool weighted : {false, true}) {
    for (const int64_t n_batch : {1, 31, 33, 255, 256, 257, 511, 513, 2000}) {
      const Case c = random_case(n_batch, 5, weighted);
      expect_right(c, run(context(), c));
    }
    for (const int64_t group : {1, 2, 3, 33, 100}) {
      const Case c = random_case(37, group, weighted);
      expect_right(c, run(context(), c));
    }
  }
}

TEST_P(BceTest, AnEmptyBatchAddsNothing) {
  EXPECT_EQ(run(context(), random_case(0, 5, false), 2.5).loss, 2.5);
  EXPECT_EQ(run(context(), random_case(4, 0, false), 2.5).loss, 2.5);
}

TEST_P(BceTest, AddsToTheLoss) {
  const Case c = random_case(300, 4, true);
  // One double addition.
  EXPECT_NEAR(run(context(), c, 1000.0).loss, 1000.0 + run(context(), c).loss, 1001.0 * 0x1.0p-52);
}

TEST_P(BceTest, ByHand) {
  // At logit 0 each term is log 2 and sigmoid is 1/2: two rows of three, weights 1 and 3, positives twice that.
  Case c{2, 3, std::vector<float>(6, 0.0f), {1.0f, 3.0f}, 2.0f};
  const Output got = run(context(), c);
  EXPECT_NEAR(got.loss, std::log(2.0) * (2 + 1 + 1 + 6 + 3 + 3) / 6.0, 16.0 * test::kRound);  // below 4 in all
  const std::vector<double> sixths{-1.0, 0.5, 0.5, -3.0, 1.5, 1.5};
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(got.d_logits[i], sixths[i] / 6.0, 2.0 * test::kRound);
}

TEST_P(BceTest, PositiveWeightTouchesPositivesOnly) {
  Case c = random_case(50, 4, true);
  c.positive_weight = 1.0f;
  const Output plain = run(context(), c);
  c.positive_weight = 4.0f;
  const Output heavy = run(context(), c);
  // A power of two scales without rounding.
  for (size_t i = 0; i < 200; ++i) EXPECT_EQ(heavy.d_logits[i], (i % 4 == 0 ? 4.0f : 1.0f) * plain.d_logits[i]);
}

TEST_P(BceTest, LargeLogitsStayFinite) {
  Case c = random_case(6, 4, false);
  c.logits = {500.0f, -500.0f, 90.0f,  -90.0f, -500.0f, 500.0f, 89.0f,      -89.0f,      1e30f, -1e30f, 0.0f,   1.0f,
              -1e30f, 1e30f,   104.0f, 0.0f,   17.0f,   -17.0f, 0x1.0p-30f, -0x1.0p-30f, 25.0f, 25.0f,  -25.0f, -0.0f};
  const Output got = run(context(), c);
  EXPECT_TRUE(std::isfinite(got.loss));
  for (const float d : got.d_logits) EXPECT_TRUE(std::isfinite(d));
  expect_right(c, got);
}

TEST_P(BceTest, GradientsMayTakeThePlaceOfTheLogits) {
  const Case c = random_case(400, 6, true);
  const Output apart = run(context(), c);
  test::Guarded<float> logits(context(), c.logits);
  const Buffer<float> row_weight(context(), c.row_weight);
  Buffer<double> loss = Buffer<double>::zeros(context(), 1);
  loss::bce(context(), {.logits = logits.matrix(c.n_batch, c.group),
                        .row_weight = row_weight.view(),
                        .positive_weight = c.positive_weight,
                        .d_logits = logits.matrix(c.n_batch, c.group),
                        .loss = loss.view()});
  logits.expect_intact();
  EXPECT_TRUE(apart.same_bits({logits.to_host(), loss.to_host()[0]}));
}

TEST_P(BceTest, GradientsAgreeWithFiniteDifferences) {
  const Case c = random_case(9, 5, true);
  const ref::LossInput input = exact(c);
  const ref::LossOutput expected = ref::bce(input);
  const auto forward = [&](const std::vector<double>& logits) {
    ref::LossInput moved = input;
    moved.logits = logits;
    return ref::bce(moved).loss;
  };
  const Output got = run(context(), c);
  for (size_t i = 0; i < c.logits.size(); ++i) {
    // h^2 / 6 times a third derivative below 0.1 * weight (6 at most), and double's rounding of a loss below 30 over
    // 2h.
    constexpr double kStep = 1e-4;
    const double slack = kStep * kStep / 6.0 * 0.6 + 30.0 * 0x1.0p-52 / (2.0 * kStep) * 10.0;
    EXPECT_NEAR(got.d_logits[i], test::central_difference(forward, input.logits, i, kStep),
                expected.d_bounds[i] + slack)
        << "element " << i;
  }
}

TEST_P(BceTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(5001, 5, true);
  const Output first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(run(*make_context(threads), c).same_bits(first)) << threads;
}

TEST_P(BceTest, RefusesWrongArguments) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 64);
  Buffer<double> loss = Buffer<double>::zeros(context(), 2);
  float* m = memory.data();
  const loss::BceArgs good{
      .logits = {m, 3, 4}, .row_weight = {m, 3}, .d_logits = {m + 16, 3, 4}, .loss = {loss.data(), 1}};
  EXPECT_NO_THROW(loss::bce(context(), good));
  const auto refuses = [&](const auto& spoil) {
    loss::BceArgs bad = good;
    spoil(bad);
    EXPECT_THROW(loss::bce(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.d_logits.rows = 4; });
  refuses([](auto& a) { a.d_logits.cols = 3; });
  refuses([](auto& a) { a.row_weight.size = 2; });
  refuses([](auto& a) { a.loss.size = 2; });
  refuses([](auto& a) { a.loss.data = nullptr; });
}

SHEAF_ON_EVERY_BACKEND(BceTest);

}  // namespace
}  // namespace sheaf
