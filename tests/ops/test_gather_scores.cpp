#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/gather_scores.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf {
namespace {

class GatherScoresTest : public test::OpTest {
 protected:
  std::vector<float> run(const std::vector<float>& scores, int64_t n, int64_t n_items,
                         const std::vector<int32_t>& items, int64_t group) {
    const Buffer<float> device_scores(context(), scores);
    const Buffer<int32_t> device_items(context(), items);
    test::Guarded<float> out(context(), n * group);
    dense::gather_scores(context(), {.scores = device_scores.matrix(n, n_items),
                                     .items = device_items.matrix(n, group),
                                     .out = out.matrix(n, group)});
    out.expect_intact();
    return out.to_host();
  }
};

TEST_P(GatherScoresTest, TakesTheNamedScores) {
  for (const int64_t n : {0, 1, 63, 64, 65, 300}) {
    constexpr int64_t kItems = 37, kGroup = 5;
    const std::vector<float> scores = test::random_floats(n * kItems, 901);
    const std::vector<int32_t> items = test::random_ints(n * kGroup, 902, -2, kItems + 1);
    const std::vector<float> got = run(scores, n, kItems, items, kGroup);
    for (int64_t at = 0; at < n * kGroup; ++at) {
      const int32_t item = items[static_cast<size_t>(at)];
      const float expected = item < 0 || item >= kItems ? -std::numeric_limits<float>::infinity()
                                                        : scores[static_cast<size_t>(at / kGroup * kItems + item)];
      EXPECT_EQ(got[static_cast<size_t>(at)], expected) << n << ", place " << at;
    }
  }
}

TEST_P(GatherScoresTest, NanStaysWhereItIs) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> got = run({1.0f, nan, 3.0f, 4.0f}, 2, 2, {1, 0, 0, 1}, 2);
  EXPECT_TRUE(std::isnan(got[0]));
  EXPECT_EQ((std::vector<float>(got.begin() + 1, got.end())), (std::vector<float>{1.0f, 3.0f, 4.0f}));
}

TEST_P(GatherScoresTest, RefusesWrongShapes) {
  Buffer<float> scores(context(), 6), out(context(), 4);
  const Buffer<int32_t> items = Buffer<int32_t>::zeros(context(), 4);
  EXPECT_THROW(dense::gather_scores(context(), {scores.matrix(3, 2), items.matrix(2, 2), out.matrix(2, 2)}),
               UsageError);
  EXPECT_THROW(dense::gather_scores(context(), {scores.matrix(2, 3), items.matrix(2, 2), out.matrix(4, 1)}),
               UsageError);
}

SHEAF_ON_EVERY_BACKEND(GatherScoresTest);

}  // namespace
}  // namespace sheaf
