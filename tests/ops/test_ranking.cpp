#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/metrics/ranking.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/metrics.hpp"

namespace sheaf {
namespace {

std::vector<float> run(Context& context, const std::vector<int32_t>& lists, int64_t length, const test::HostCsr& truth,
                       int64_t k) {
  const Buffer<int32_t> top(context, lists);
  const test::DeviceCsr device_truth(context, truth);
  const int64_t n_users = truth.n_rows();
  test::Guarded<float> out(context, n_users * metrics::kRankingColumns);
  metrics::ranking(context, {.top_items = top.matrix(n_users, length),
                             .truth = device_truth.view(),
                             .k = k,
                             .per_user = out.matrix(n_users, metrics::kRankingColumns)});
  out.expect_intact();
  return out.to_host();
}

class RankingTest : public test::OpTest {};

TEST_P(RankingTest, AgreesWithOracle) {
  constexpr int64_t kLength = 20, kItems = 40;
  for (const int64_t n_users : {0, 1, 31, 33, 127, 129, 300}) {
    const test::HostCsr truth = test::random_csr(n_users, kItems, 15, 30, false);
    std::vector<int32_t> lists;
    std::mt19937 engine(31);
    for (int64_t u = 0; u < n_users; ++u) {
      std::vector<int32_t> items(kItems);
      std::iota(items.begin(), items.end(), 0);
      std::shuffle(items.begin(), items.end(), engine);
      const auto used = static_cast<size_t>(u % (kLength + 1));  // -1 from there on
      for (size_t i = 0; i < kLength; ++i) lists.push_back(i < used ? items[i] : -1);
    }
    for (const int64_t k : {1, 5, 20}) {
      const std::vector<float> out = run(context(), lists, kLength, truth, k);
      for (size_t u = 0; u < static_cast<size_t>(n_users); ++u) {
        const std::vector<int32_t> list(lists.begin() + static_cast<int64_t>(u) * kLength,
                                        lists.begin() + static_cast<int64_t>(u + 1) * kLength);
        const std::set<int32_t> held_out(truth.columns.begin() + truth.row_offsets[u],
                                         truth.columns.begin() + truth.row_offsets[u + 1]);
        const auto expected = ref::ranking(list, held_out, k);
        for (size_t column = 0; column < 6; ++column) {
          const double got = out[u * 6 + column];
          EXPECT_EQ(std::isnan(got), held_out.empty());
          // Doubles rounded once to float; values are at most 1.
          if (!held_out.empty()) {
            EXPECT_NEAR(got, expected[column], 0x1.0p-24) << "user " << u << " column " << column;
          }
        }
      }
    }
  }
}

TEST_P(RankingTest, ByHand) {
  test::HostCsr truth;
  truth.n_columns = 10;
  truth.row_offsets = {0, 2, 2};
  truth.columns = {3, 7};
  const std::vector<float> out = run(context(), {1, 3, 7, -1, 3, 7, 1, 2}, 4, truth, 4);
  const double ideal = 1.0 + 1.0 / std::log2(3.0);
  EXPECT_FLOAT_EQ(out[metrics::kRecall], 1.0f);
  EXPECT_FLOAT_EQ(out[metrics::kPrecision], 0.5f);
  EXPECT_FLOAT_EQ(out[metrics::kHitRate], 1.0f);
  EXPECT_FLOAT_EQ(out[metrics::kMrr], 0.5f);
  EXPECT_FLOAT_EQ(out[metrics::kNdcg], static_cast<float>((1.0 / std::log2(3.0) + 0.5) / ideal));
  EXPECT_FLOAT_EQ(out[metrics::kMap], static_cast<float>((0.5 + 2.0 / 3.0) / 2.0));
  for (size_t column = 6; column < 12; ++column) EXPECT_TRUE(std::isnan(out[column])) << "no held-out items";
}

TEST_P(RankingTest, RefusesWrongArguments) {
  const test::HostCsr truth = test::random_csr(2, 5, 3, 32, false);
  EXPECT_THROW(run(context(), {0, 1, 2, 3}, 2, truth, 3), UsageError);
  EXPECT_THROW(run(context(), {0, 1, 2, 3}, 2, truth, 0), UsageError);
}

SHEAF_ON_EVERY_BACKEND(RankingTest);

}  // namespace
}  // namespace sheaf
