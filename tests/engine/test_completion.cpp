#include "engine/bundles/completion.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/bundles/text_vectors.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::completion_test {
namespace {

HostCsr csr(const std::vector<std::vector<std::pair<int32_t, float>>>& rows, int64_t n_columns) {
  HostCsr matrix;
  matrix.n_columns = n_columns;
  for (const auto& row : rows) {
    for (const auto& [column, value] : row) {
      matrix.columns.push_back(column);
      matrix.values.push_back(value);
    }
    matrix.row_offsets.push_back(matrix.nnz());
  }
  return matrix;
}

/// Bundles {0, 1}, {0, 1, 2}, {2, 3} of five items: n = 2, 2, 2, 1, 0.
HostCsr three_bundles() { return csr({{{0, 1}, {1, 1}}, {{0, 1}, {1, 1}, {2, 1}}, {{2, 1}, {3, 1}}}, 5); }

/// Cosines: (0, 3) 0.6, (0, 4) 0.8, (2, 3) 0.8, (2, 4) 0.6, (3, 4) 0.96; item 1 has no words.
HostCsr words() { return csr({{{0, 1}}, {}, {{1, 1}}, {{0, 0.6f}, {1, 0.8f}}, {{0, 0.8f}, {1, 0.6f}}}, 2); }

constexpr double kRound = 1e-6;  // words are float32

TEST(TfIdf, WorkedExample) {
  const HostCsr text = tf_idf(csr({{{0, 2}, {1, 1}}, {{1, 1}}, {}}, 2));
  // Three items: idf of word 0 is 1 + ln(4 / 2), of word 1 it is 1 + ln(4 / 3).
  const double a = (1 + std::log(2.0)) * (1 + std::log(2.0)), b = 1 + std::log(4.0 / 3.0);
  ASSERT_EQ(text.values.size(), 3u);
  EXPECT_NEAR(text.values[0], a / std::sqrt(a * a + b * b), kRound);
  EXPECT_NEAR(text.values[1], b / std::sqrt(a * a + b * b), kRound);
  EXPECT_NEAR(text.values[2], 1.0, kRound);
  EXPECT_EQ(text.row_offsets, (std::vector<int64_t>{0, 2, 3, 3}));
}

TEST(TfIdf, RefusesWhatIsNoCount) {
  for (const float count :
       {0.0f, 0.5f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    EXPECT_THROW(tf_idf(csr({{{0, count}}}, 1)), UsageError) << count;
  }
}

TEST(Completion, CountsAlone) {
  const CompletionScorer scorer(three_bundles(), {}, {.shrinkage = 1.0, .text_weight = 0.0});
  const ItemPair pair = scorer.pair(0, 1);
  EXPECT_EQ(pair.together, 2);
  EXPECT_DOUBLE_EQ(pair.expected, 4.0 / 3.0);
  EXPECT_DOUBLE_EQ(pair.lift(), 1.5);
  EXPECT_DOUBLE_EQ(pair.affinity, 2.0 / 3.0);  // 2 / sqrt(3 * 3)
  EXPECT_EQ(scorer.pair(0, 4).lift(), 0.0);
  const std::vector<int32_t> started{0, 1};
  const std::vector<double> scores = scorer.scores(started);
  EXPECT_EQ(scores[0], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(scores[1], -std::numeric_limits<double>::infinity());
  EXPECT_DOUBLE_EQ(scores[2], 1.0 / 3.0);  // the mean of two times 1 / sqrt(3 * 3)
  EXPECT_EQ(scores[3], 0.0);
  EXPECT_EQ(scores[4], 0.0);
}

TEST(Completion, WordsCountLessTheMoreBundlesSpeak) {
  const CompletionScorer scorer(three_bundles(), words(), {.shrinkage = 1.0, .text_weight = 0.5});
  const std::vector<int32_t> started{0};
  const std::vector<double> scores = scorer.scores(started);
  EXPECT_NEAR(scores[1], 2.0 / 3.0, kRound);
  EXPECT_NEAR(scores[3], 0.5 * 0.6 / std::sqrt(3.0 * 2.0), kRound);
  EXPECT_NEAR(scores[4], 0.5 * 0.8 / std::sqrt(3.0 * 1.0), kRound);
  EXPECT_NEAR(scorer.pair(2, 3).affinity, (1 + 0.5 * 0.8) / std::sqrt(3.0 * 2.0), kRound);
  for (int32_t i = 0; i < 5; ++i) {
    for (int32_t j = 0; j < 5; ++j) {
      if (i == j) continue;
      EXPECT_NEAR(scorer.scores(std::vector{i})[static_cast<size_t>(j)], scorer.pair(i, j).affinity, 1e-12);
      EXPECT_EQ(scorer.pair(i, j).affinity, scorer.pair(j, i).affinity);
    }
  }
}

TEST(Completion, WithoutBundlesTheWordsDecide) {
  HostCsr none;
  none.n_columns = 5;
  const CompletionScorer scorer(none, words(), {});
  const auto best = best_items(scorer.scores(std::vector{3}), {}, 2);
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[0].item, 4);  // 0.96
  EXPECT_EQ(best[1].item, 2);  // 0.8
  EXPECT_EQ(scorer.pair(3, 4).expected, 0.0);
}

TEST(Completion, NearestIsTheOneOfHighestAffinity) {
  const CompletionScorer scorer(three_bundles(), words(), {.shrinkage = 1.0, .text_weight = 0.5});
  EXPECT_EQ(scorer.nearest_of(std::vector{0, 2}, 3), 2);
  EXPECT_EQ(scorer.nearest_of(std::vector{2, 0}, 1), 0);
  EXPECT_EQ(scorer.nearest_of(std::vector{3, 1}, 1), 1);
}

TEST(Completion, BestItemsAddThePriorAndBreakTiesByNumber) {
  const double never = -std::numeric_limits<double>::infinity();
  const auto best = best_items({0.5, never, 0.25, 0.5, 0.0}, {}, 3);
  ASSERT_EQ(best.size(), 3u);
  EXPECT_EQ(best[0].item, 0);
  EXPECT_EQ(best[1].item, 3);
  EXPECT_EQ(best[2].item, 2);
  const std::vector<double> prior{0, 9, 0, 0, 0.75};
  const auto with = best_items({0.5, never, 0.25, 0.5, 0.0}, prior, 10);
  ASSERT_EQ(with.size(), 4u);  // what is in the bundle already stays out, whatever the prior
  EXPECT_EQ(with[0].item, 4);
  EXPECT_EQ(with[0].score, 0.75);
  EXPECT_TRUE(best_items({0.5}, {}, 0).empty());
  EXPECT_THROW(best_items({0.5}, prior, 1), UsageError);
}

TEST(Completion, FillsUpGreedily) {
  // {0, 1} and {1, 2} often, {0, 3} once: to 0 comes 1, and then 2 through 1.
  const HostCsr bundles =
      csr({{{0, 1}, {1, 1}}, {{0, 1}, {1, 1}}, {{1, 1}, {2, 1}}, {{1, 1}, {2, 1}}, {{0, 1}, {3, 1}}}, 4);
  const CompletionScorer scorer(bundles, {}, {.shrinkage = 1.0});
  const auto added = complete_bundle(scorer, {0}, 3, {});
  ASSERT_EQ(added.size(), 2u);
  EXPECT_EQ(added[0].item, 1);
  EXPECT_DOUBLE_EQ(added[0].score, 2.0 / std::sqrt(4.0 * 5.0));
  EXPECT_EQ(added[1].item, 2);
  EXPECT_DOUBLE_EQ(added[1].score, 0.5 * 2.0 / std::sqrt(5.0 * 3.0));
  EXPECT_EQ(complete_bundle(scorer, {0}, 99, {}).size(), 3u);  // the catalog ends
  EXPECT_TRUE(complete_bundle(scorer, {0, 1}, 2, {}).empty());
}

TEST(Completion, PartnersAreTheBestOfEachItemOnAnyNumberOfThreads) {
  const CompletionScorer scorer(three_bundles(), words(), {.shrinkage = 1.0, .text_weight = 0.5});
  const Context one(Device{}, {.n_threads = 1}), four(Device{}, {.n_threads = 4});
  const HostCsr partners = scorer.partners(one, 2);
  EXPECT_EQ(partners.row_offsets, (std::vector<int64_t>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(partners.columns, (std::vector<int32_t>{1, 2, 0, 2, 0, 3, 2, 4, 0, 3}));
  const HostCsr again = scorer.partners(four, 2);
  EXPECT_EQ(again.columns, partners.columns);
  EXPECT_EQ(again.values, partners.values);
  // Item 1 goes with 0 and 2 alone; an affinity of 0 is no partner.
  EXPECT_EQ(scorer.partners(one, 4).row(1).size(), 2u);
}

TEST(Completion, RefusesWhatIsWrong) {
  EXPECT_THROW(CompletionScorer(three_bundles(), {}, {.shrinkage = 0.0}), UsageError);
  EXPECT_THROW(CompletionScorer(three_bundles(), {}, {.shrinkage = std::nan("")}), UsageError);
  EXPECT_THROW(CompletionScorer(three_bundles(), {}, {.text_weight = -1.0}), UsageError);
  EXPECT_THROW(CompletionScorer(three_bundles(), csr({{{0, 1}}}, 1), {}), UsageError);
  const CompletionScorer scorer(three_bundles(), words(), {});
  EXPECT_THROW(scorer.scores({}), UsageError);
  EXPECT_THROW(scorer.scores(std::vector{5}), UsageError);
  EXPECT_THROW(scorer.scores(std::vector{-1}), UsageError);
}

}  // namespace
}  // namespace sheaf::completion_test
