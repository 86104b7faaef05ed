#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/associate/association.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

using association::Measure;

constexpr int64_t kItems = 18;

/// The measures of Brin et al. and the others by their formulas over probabilities.
double defined_measure(Measure measure, double c_ij, double c_i, double c_j, double n) {
  const double p_ij = c_ij / n, p_i = c_i / n, p_j = c_j / n;
  switch (measure) {
    case Measure::support: return p_ij;
    case Measure::confidence: return p_ij / p_i;
    case Measure::lift: return p_ij / (p_i * p_j);
    case Measure::leverage: return p_ij - p_i * p_j;
    case Measure::conviction:
      return c_ij == c_i ? std::numeric_limits<double>::infinity() : p_i * (1 - p_j) / (p_i - p_ij);
    case Measure::jaccard: return p_ij / (p_i + p_j - p_ij);
    case Measure::cosine: return p_ij / std::sqrt(p_i * p_j);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

const std::vector<Measure> kMeasures{Measure::support,    Measure::confidence, Measure::lift,  Measure::leverage,
                                     Measure::conviction, Measure::jaccard,    Measure::cosine};

class AssociationTest : public test::OpTest {
 protected:
  const test::HostCsr drawn_ = test::random_csr(60, kItems, 7, 1, true);
  const HostCsr baskets_ = test::engine_csr(drawn_);
};

TEST_P(AssociationTest, CountsPairsOfItems) {
  const test::HostCsr by_item = ref::transpose(drawn_);
  for (const int32_t min_count : {1, 3, 6, 100}) {
    const PairCounts pairs = count_pairs(context(), baskets_, min_count);
    const auto expected = ref::cooccurrence(drawn_, min_count);
    EXPECT_EQ(pairs.n_baskets, 60);
    ASSERT_EQ(pairs.item_counts.size(), static_cast<size_t>(kItems));
    ASSERT_EQ(pairs.companions.size(), pairs.counts.size());
    size_t n_pairs = 0;
    for (int32_t i = 0; i < kItems; ++i) {
      const auto& row = expected[static_cast<size_t>(i)];
      n_pairs += row.size();
      EXPECT_EQ(pairs.item_counts[static_cast<size_t>(i)],
                by_item.row_offsets[static_cast<size_t>(i) + 1] - by_item.row_offsets[static_cast<size_t>(i)]);
      for (int32_t j = 0; j < kItems; ++j) {
        EXPECT_EQ(pairs.count(i, j), row.contains(j) ? row.at(j) : 0) << i << ", " << j << " from " << min_count;
      }
    }
    EXPECT_EQ(pairs.counts.size(), n_pairs);
  }
}

TEST_P(AssociationTest, MeasuresAPair) {
  // Five baskets: items 0 and 1 meet twice, item 0 comes three times, item 1 twice.
  const PairCounts pairs = count_pairs(context(), test::pattern({{0, 1}, {0, 1, 2}, {0}, {2}, {}}, 4), 1);
  EXPECT_DOUBLE_EQ(pairs.measure(Measure::support, 0, 1), 2.0 / 5);
  EXPECT_DOUBLE_EQ(pairs.measure(Measure::confidence, 0, 1), 2.0 / 3);
  EXPECT_DOUBLE_EQ(pairs.measure(Measure::lift, 0, 1), 5.0 * 2 / (3 * 2));
  EXPECT_DOUBLE_EQ(pairs.measure(Measure::leverage, 0, 1), 2.0 / 5 - 3.0 * 2 / 25);
  EXPECT_DOUBLE_EQ(pairs.measure(Measure::conviction, 0, 1), (3.0 / 5) / (1.0 / 3));
  EXPECT_DOUBLE_EQ(pairs.measure(Measure::conviction, 1, 0), std::numeric_limits<double>::infinity());
  EXPECT_DOUBLE_EQ(pairs.measure(Measure::jaccard, 0, 1), 2.0 / 3);
  EXPECT_DOUBLE_EQ(pairs.measure(Measure::cosine, 0, 1), 2.0 / std::sqrt(6.0));
  for (const Measure measure : kMeasures) EXPECT_EQ(pairs.measure(measure, 0, 3), 0) << to_string(measure);
}

TEST_P(AssociationTest, CountedPartnersAreTheStrongest) {
  const PairCounts pairs = count_pairs(context(), baskets_, 2);
  for (const Measure measure : kMeasures) {
    for (const int64_t k : {int64_t{1}, int64_t{5}, int64_t{1000}}) {
      for (const float min_score : {0.0f, 0.3f}) {
        const Partners partners = counted_partners(context(), pairs, measure, k, min_score);
        EXPECT_EQ(partners.n_items, kItems);
        ASSERT_EQ(partners.k, std::min(k, kItems - 1));
        ASSERT_EQ(partners.items.size(), static_cast<size_t>(kItems * partners.k));
        for (int32_t i = 0; i < kItems; ++i) {
          std::vector<ref::Candidate> candidates;
          for (int32_t j = 0; j < kItems; ++j) {
            const double score =
                defined_measure(measure, pairs.count(i, j), pairs.item_counts[static_cast<size_t>(i)],
                                pairs.item_counts[static_cast<size_t>(j)], static_cast<double>(pairs.n_baskets));
            // Once rounded to float from a few operations in double.
            const double bound = std::isinf(score) ? 0 : 1.001 * test::kRound * std::abs(score) + 1e-14;
            const bool counted = i != j && pairs.count(i, j) > 0;
            const auto low = static_cast<double>(min_score);
            candidates.push_back({score, bound, counted && score >= low - bound, counted && score > low + bound});
          }
          const auto at = static_cast<std::ptrdiff_t>(i * partners.k);
          EXPECT_EQ(
              ref::top_k_fault(candidates, partners.items.data() + at, partners.scores.data() + at, partners.k, 0), "")
              << to_string(measure) << " of item " << i << ", k " << k << ", from " << min_score;
        }
      }
    }
  }
}

TEST_P(AssociationTest, CosinePartnersAreTheStrongest) {
  constexpr int64_t dim = 5;
  std::vector<float> vectors = test::random_floats(kItems * dim, 2);
  std::fill_n(vectors.begin() + 3 * dim, dim, 0.0f);  // item 3 knows nobody
  const Buffer<float> buffer(context(), vectors);
  for (const int64_t k : {int64_t{1}, int64_t{6}, int64_t{300}}) {
    for (const float scale : {1.0f, 0.2f}) {
      for (const float min_score : {0.0f, 0.1f}) {
        const Partners partners = cosine_partners(context(), buffer.matrix(kItems, dim), k, scale, min_score);
        EXPECT_EQ(partners.n_items, kItems);
        ASSERT_EQ(partners.k, std::min(k, kItems - 1));
        // Two unit vectors of rounded lengths, then dim products of size at most 1 in all, then scaled.
        const double bound = static_cast<double>(scale) * ref::sum_bound(dim + 6, 1.0);
        for (int64_t i = 0; i < kItems; ++i) {
          std::vector<ref::Candidate> candidates;
          for (int64_t j = 0; j < kItems; ++j) {
            const double cosine = ref::cosine(vectors.data() + i * dim, vectors.data() + j * dim, dim);
            const double score = std::isnan(cosine) ? 0.0 : static_cast<double>(scale) * std::max(0.0, cosine);
            const auto low = static_cast<double>(min_score);
            const bool other = i != j && !std::isnan(cosine);
            candidates.push_back({score, bound, other && score >= low - bound, other && score > low + bound});
          }
          const auto at = i * partners.k;
          EXPECT_EQ(
              ref::top_k_fault(candidates, partners.items.data() + at, partners.scores.data() + at, partners.k, 0), "")
              << "item " << i << ", k " << k << ", scale " << scale << ", from " << min_score;
        }
      }
    }
  }
}

TEST_P(AssociationTest, OneItemHasNoPartners) {
  const Buffer<float> vectors(context(), std::vector<float>{1, 2});
  EXPECT_EQ(cosine_partners(context(), vectors.matrix(1, 2), 5, 1.0f, 0.0f).items, std::vector<int32_t>{-1});
  const PairCounts pairs = count_pairs(context(), test::pattern({{0}, {0}}, 1), 1);
  EXPECT_EQ(counted_partners(context(), pairs, Measure::lift, 5, 0.0f).items, std::vector<int32_t>{-1});
}

SHEAF_ON_EVERY_BACKEND(AssociationTest);

TEST(Partners, BecomeAMatrixWithAscendingColumns) {
  const Partners partners{4, 3, {3, 1, 2, -1, -1, -1, 0, 3, -1, 2, -1, -1}, {9, 8, 7, 0, 0, 0, 6, 5, 0, 4, 0, 0}};
  const HostCsr matrix = partners.to_csr();
  const HostCsr expected = test::sparse({{0, 8, 7, 9}, {0, 0, 0, 0}, {6, 0, 0, 5}, {0, 0, 4, 0}});
  EXPECT_EQ(matrix.row_offsets, expected.row_offsets);
  EXPECT_EQ(matrix.columns, expected.columns);
  EXPECT_EQ(matrix.values, expected.values);
  EXPECT_EQ(matrix.n_columns, 4);
}

TEST(MeasureNames, GoBothWays) {
  for (const Measure measure : kMeasures) EXPECT_EQ(parse_measure(to_string(measure)), measure);
  EXPECT_EQ(parse_measure("jaccard"), Measure::jaccard);
  for (const char* text : {"", "Lift", "lift ", "count"}) EXPECT_THROW(parse_measure(text), UsageError) << text;
}

}  // namespace
}  // namespace sheaf
