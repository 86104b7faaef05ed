#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/mean_sigmoid.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  int64_t n, n_items;
  std::vector<float> scores;
  std::vector<double> sums;
  float slope = 1.0f, offset = 0.0f;
  double weight = 1.0;
};

Case random_case(int64_t n, int64_t n_items) {
  const std::vector<double> sums = test::to_double(test::random_floats(n_items, 431, -3.0f, 3.0f));
  return {n, n_items, test::random_floats(n * n_items, 430, -6.0f, 6.0f), sums, 1.7f, -0.6f, 0.3};
}

std::vector<double> run(Context& context, const Case& c) {
  const Buffer<float> scores(context, c.scores);
  test::Guarded<double> sums(context, c.sums);
  dense::mean_sigmoid(context, {.scores = scores.matrix(c.n, c.n_items),
                                .slope = c.slope,
                                .offset = c.offset,
                                .weight = c.weight,
                                .sums = sums.view()});
  sums.expect_intact();
  return sums.to_host();
}

void expect_right(Context& context, const Case& c) {
  SCOPED_TRACE(testing::Message() << c.n << " rows, " << c.n_items << " items");
  const std::vector<double> got = run(context, c);
  const std::vector<ref::Mean> expected =
      ref::mean_sigmoid(test::to_double(c.scores), c.sums, c.weight, {c.slope, c.offset});
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i].value, expected[i].bound) << "item " << i;
  }
}

class MeanSigmoidTest : public test::OpTest {};

TEST_P(MeanSigmoidTest, AgreesWithOracle) {
  for (const int64_t n : {1, 2, 7, 8, 9, 31, 33, 400}) expect_right(context(), random_case(n, 9));
  for (const int64_t n_items : {1, 31, 32, 33, 63, 64, 65, 200}) expect_right(context(), random_case(21, n_items));
  Case negative = random_case(30, 40);
  negative.weight = -2.5;
  expect_right(context(), negative);
}

TEST_P(MeanSigmoidTest, ByHand) {
  // Rows at scores 0, far above and far below.
  Case c{3, 2, {0.0f, -2000.0f, 2000.0f, 0.0f, -2000.0f, -2000.0f}, {10.0, -1.0}};
  EXPECT_EQ(run(context(), c), (std::vector<double>{11.5, -0.5}));
  c.weight = 0.5;
  EXPECT_EQ(run(context(), c), (std::vector<double>{10.75, -0.75}));
  c.slope = -1.0f;
  EXPECT_EQ(run(context(), c), (std::vector<double>{10.75, 0.25}));
}

TEST_P(MeanSigmoidTest, ExtremeScores) {
  Case c = random_case(40, 20);
  for (const float extreme : {80.0f, 104.0f, 1e20f}) {
    for (size_t at = 0; at < c.scores.size(); ++at) c.scores[at] = at % 2 ? extreme : -extreme;
    expect_right(context(), c);
  }
  c = {3, 1, {kInfinity, -kInfinity, 0.0f}, {0.0}};
  EXPECT_EQ(run(context(), c), (std::vector<double>{1.5}));
}

TEST_P(MeanSigmoidTest, NaNStaysWithItsItem) {
  Case c = random_case(20, 70);
  c.scores[70 * 13 + 5] = kNan;
  c.sums[69] = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> sums = run(context(), c);
  for (size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(std::isnan(sums[i]), i == 5 || i == 69) << i;
}

TEST_P(MeanSigmoidTest, ASlopeOfZeroLeavesTheOffset) {
  Case c = random_case(50, 6);
  c.sums.assign(6, 0.0);
  c.slope = 0.0f;
  c.offset = std::log(3.0f);
  c.weight = 1.0 / 50;
  for (const double mean : run(context(), c)) EXPECT_NEAR(mean, 0.75, 12.0 * test::kRound);
}

// A float sum of so many equal numbers would drift; a double one does not.
TEST_P(MeanSigmoidTest, ManyRowsAddUpInDouble) {
  const int64_t n = int64_t{1} << 19;
  expect_right(context(), {n, 1, std::vector<float>(static_cast<size_t>(n), 0.83f), {0.0}});
}

TEST_P(MeanSigmoidTest, NothingToAdd) {
  EXPECT_TRUE(run(context(), random_case(3, 0)).empty());
  const Case none = random_case(0, 7);
  EXPECT_TRUE(test::same_bits(run(context(), none), none.sums));
}

TEST_P(MeanSigmoidTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(500, 333);
  const std::vector<double> first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(test::same_bits(run(*make_context(threads), c), first)) << threads;
}

TEST_P(MeanSigmoidTest, RefusesWrongArguments) {
  Case c = random_case(2, 3);
  c.sums.pop_back();
  EXPECT_THROW(run(context(), c), UsageError);
  c.sums.resize(4, 0.0);
  EXPECT_THROW(run(context(), c), UsageError);
}

SHEAF_ON_EVERY_BACKEND(MeanSigmoidTest);

}  // namespace
}  // namespace sheaf
