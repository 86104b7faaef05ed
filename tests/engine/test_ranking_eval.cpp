#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

#include "engine/evaluate/ranking_eval.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/reference/metrics.hpp"
#include "tests/reference/recommend.hpp"

namespace sheaf {
namespace {

using test::engine_csr;
using test::random_csr;

constexpr int64_t kUsers = 50, kItems = 24;
// A user's figures are floats made of at most k quotients and their sum.
double figure_bound(int64_t k) { return static_cast<double>(k + 6) * test::kRound; }

/// The summary by definition. `seen` may be null; lists are shorter than k where nothing is left.
RankingSummary defined_summary(const std::vector<std::vector<int32_t>>& lists, const HostCsr& held_out,
                               const HostCsr* seen, int64_t k) {
  RankingSummary summary;
  summary.k = k;
  std::array<double, 6> sums{};
  std::vector<int64_t> counts(static_cast<size_t>(held_out.n_columns), 0);
  for (size_t u = 0; u < lists.size(); ++u) {
    const auto user = static_cast<int64_t>(u);
    std::set<int32_t> truth;
    for (const int32_t item : held_out.row(user)) {
      if (!seen || !seen->contains(user, item)) truth.insert(item);
    }
    std::vector<int32_t> list = lists[u];
    for (const int32_t item : list) ++counts[static_cast<size_t>(item)];
    list.resize(static_cast<size_t>(k), -1);
    if (truth.empty()) continue;
    ++summary.n_users;
    const auto figures = ref::ranking(list, truth, k);
    for (size_t c = 0; c < sums.size(); ++c) sums[c] += figures[c];
  }
  const auto n = static_cast<double>(summary.n_users);
  summary.recall = sums[0] / n;
  summary.precision = sums[1] / n;
  summary.hit_rate = sums[2] / n;
  summary.mrr = sums[3] / n;
  summary.ndcg = sums[4] / n;
  summary.map = sums[5] / n;
  double shown = 0;
  for (const int64_t count : counts) shown += count > 0 ? 1 : 0;
  summary.coverage = shown / static_cast<double>(counts.size());
  summary.gini = ref::gini(counts);
  return summary;
}

void expect_same(const RankingSummary& found, const RankingSummary& expected) {
  const double bound = figure_bound(expected.k);
  EXPECT_EQ(found.k, expected.k);
  EXPECT_EQ(found.n_users, expected.n_users);
  EXPECT_NEAR(found.recall, expected.recall, bound);
  EXPECT_NEAR(found.precision, expected.precision, bound);
  EXPECT_NEAR(found.hit_rate, expected.hit_rate, bound);
  EXPECT_NEAR(found.mrr, expected.mrr, bound);
  EXPECT_NEAR(found.ndcg, expected.ndcg, bound);
  EXPECT_NEAR(found.map, expected.map, bound);
  EXPECT_DOUBLE_EQ(found.coverage, expected.coverage);
  EXPECT_NEAR(found.gini, expected.gini, 1e-12);
}

class RankingEvaluatorTest : public test::OpTest {
 protected:
  /// Whole numbers, so that every score is exact in float; many are equal.
  void SetUp() override {
    OpTest::SetUp();
    if (IsSkipped()) return;
    users_ = test::random_ints(kUsers * 3, 1, -2, 2);
    items_ = test::random_ints(kItems * 3, 2, -2, 2);
    bias_ = test::random_ints(kItems, 3, -3, 3);
    held_out_ = engine_csr(random_csr(kUsers, kItems, 5, 4, true));
    seen_ = engine_csr(random_csr(kUsers, kItems, 12, 5, true));
  }
  const Scorer& scorer() {
    LinearParts parts{.n_users = kUsers, .n_items = kItems, .dim = 3};
    parts.users = Buffer<float>(context(), std::vector<float>(users_.begin(), users_.end()));
    parts.items = Buffer<float>(context(), std::vector<float>(items_.begin(), items_.end()));
    parts.item_bias = Buffer<float>(context(), std::vector<float>(bias_.begin(), bias_.end()));
    scorer_ = std::make_unique<LinearScorer>(context(), std::move(parts));
    return *scorer_;
  }
  std::vector<std::vector<int32_t>> defined_lists(const HostCsr* seen, int64_t k) const {
    std::vector<std::vector<int32_t>> lists;
    for (size_t u = 0; u < kUsers; ++u) {
      std::vector<double> scores;
      std::vector<bool> may;
      for (size_t i = 0; i < kItems; ++i) {
        double score = bias_[i];
        for (size_t c = 0; c < 3; ++c) score += users_[u * 3 + c] * items_[i * 3 + c];
        scores.push_back(score);
        may.push_back(!seen || !seen->contains(static_cast<int64_t>(u), static_cast<int32_t>(i)));
      }
      lists.push_back(ref::best_columns(scores, may, k));
    }
    return lists;
  }

  std::unique_ptr<Scorer> scorer_;
  std::vector<int32_t> users_, items_, bias_;
  HostCsr held_out_, seen_;
};

TEST_P(RankingEvaluatorTest, RanksEverything) {
  const RankingEvaluator evaluator(context(), held_out_, nullptr);
  EXPECT_EQ(evaluator.exclude(), nullptr);
  for (const int64_t k : {int64_t{1}, int64_t{5}, kItems}) {
    expect_same(evaluator.of_scorer(context(), scorer(), k),
                defined_summary(defined_lists(nullptr, k), held_out_, nullptr, k));
  }
}

TEST_P(RankingEvaluatorTest, MaskedItemsAreNeitherTruthNorRecommended) {
  const RankingEvaluator evaluator(context(), held_out_, &seen_);
  ASSERT_NE(evaluator.exclude(), nullptr);
  for (const int64_t k : {int64_t{1}, int64_t{5}, int64_t{20}}) {  // with 20, lists end before k
    const RankingSummary expected = defined_summary(defined_lists(&seen_, k), held_out_, &seen_, k);
    ASSERT_LT(expected.n_users, defined_summary(defined_lists(&seen_, k), held_out_, nullptr, k).n_users);
    expect_same(evaluator.of_scorer(context(), scorer(), k), expected);
  }
}

TEST_P(RankingEvaluatorTest, ListsMayBeLongerThanK) {
  const TopLists lists = top_items(context(), scorer(), nullptr, 9);
  const RankingEvaluator evaluator(context(), held_out_, nullptr);
  expect_same(evaluator.of_lists(context(), lists, 4),
              defined_summary(defined_lists(nullptr, 4), held_out_, nullptr, 4));
}

TEST_P(RankingEvaluatorTest, WithoutHeldOutItemsTheMeansAreNotNumbers) {
  HostCsr nothing;
  nothing.row_offsets.assign(kUsers + 1, 0);
  nothing.n_columns = kItems;
  const RankingSummary summary = RankingEvaluator(context(), nothing, nullptr).of_scorer(context(), scorer(), 5);
  EXPECT_EQ(summary.n_users, 0);
  for (const double figure :
       {summary.recall, summary.precision, summary.hit_rate, summary.mrr, summary.ndcg, summary.map}) {
    EXPECT_TRUE(std::isnan(figure));
  }
  EXPECT_GT(summary.coverage, 0);  // lists there are
}

TEST_P(RankingEvaluatorTest, GiniOfOneItemForAllAndOfAllAlike) {
  const RankingEvaluator evaluator(context(), test::pattern({{0}, {0}, {0}, {0}}, 4), nullptr);
  const auto gini = [&](const std::vector<int32_t>& items) {
    const TopLists lists{4, 1, Buffer<int32_t>(context(), items), Buffer<float>(context(), std::vector<float>(4))};
    return evaluator.of_lists(context(), lists, 1);
  };
  EXPECT_DOUBLE_EQ(gini({2, 2, 2, 2}).gini, 0.75);  // 1 - 1 / n_items
  EXPECT_DOUBLE_EQ(gini({2, 2, 2, 2}).coverage, 0.25);
  EXPECT_DOUBLE_EQ(gini({0, 1, 2, 3}).gini, 0);
  EXPECT_DOUBLE_EQ(gini({0, 1, 2, 3}).coverage, 1);
  EXPECT_DOUBLE_EQ(gini({-1, -1, -1, -1}).gini, 0);
  EXPECT_DOUBLE_EQ(gini({0, 0, 1, -1}).coverage, 0.5);
}

SHEAF_ON_EVERY_BACKEND(RankingEvaluatorTest);

}  // namespace
}  // namespace sheaf
