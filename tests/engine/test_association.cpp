#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "engine/associate/association.hpp"
#include "engine/associate/graph_vectors.hpp"
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
  /// The pairs of the lists, both ways, with the counts that they have among `all`, and no other pairs.
  static void expect_counts_of(const PairCounts& found, const HostCsr& lists, const PairCounts& all) {
    size_t n = 0;
    for (int32_t i = 0; i < kItems; ++i) {
      for (int32_t j = 0; j < kItems; ++j) {
        const bool listed = lists.contains(i, j) || lists.contains(j, i);
        EXPECT_EQ(found.count(i, j), listed ? all.count(i, j) : 0) << i << ", " << j;
        n += listed && all.count(i, j) > 0;
      }
    }
    EXPECT_EQ(found.counts.size(), n);
  }

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

TEST_P(AssociationTest, BlocksGiveTheCountsAndTheListsOfTheWhole) {
  PairRule rule;
  rule.category = test::random_ints(kItems, 5, -1, 2);
  rule.excluded = csr_from_pairs(std::vector<int32_t>{0, 7}, std::vector<int32_t>{3, 1}, {}, kItems, kItems);
  const PairCounts all = count_pairs(context(), baskets_, 2);
  for (const int64_t block : {int64_t{1}, int64_t{40}, int64_t{1} << 20}) {
    const PairCounts counts = count_pairs(context(), baskets_, 2, "", block);
    EXPECT_EQ(counts.row_offsets, all.row_offsets);
    EXPECT_EQ(counts.companions, all.companions);
    EXPECT_EQ(counts.counts, all.counts);
    for (const auto kind : {PairRule::Kind::any, PairRule::Kind::different}) {
      rule.kind = kind;
      for (const Measure measure : kMeasures) {
        const Partners whole = counted_partners(context(), allowed_pairs(all, rule), measure, 3, 0.0f);
        const CountedPartners found = counted_partners(context(), baskets_, 2, measure, 3, 0.0f, rule, block);
        EXPECT_EQ(found.partners.k, whole.k);
        EXPECT_EQ(found.partners.items, whole.items) << to_string(measure) << ", blocks of " << block;
        EXPECT_EQ(found.partners.scores, whole.scores);
        EXPECT_EQ(found.counts.item_counts, all.item_counts);
        EXPECT_EQ(found.counts.n_baskets, all.n_baskets);
        expect_counts_of(found.counts, whole.to_csr(), all);
      }
    }
  }
}

TEST_P(AssociationTest, ListedPairsAreCountedAlone) {
  const PairCounts all = count_pairs(context(), baskets_, 1);
  const HostCsr lists = test::pattern({{1, 2}, {}, {0, 17}, {4}}, kItems);
  HostCsr rows = lists;
  rows.row_offsets.resize(static_cast<size_t>(kItems) + 1, lists.nnz());
  for (const int64_t block : {int64_t{1}, int64_t{1} << 20}) {
    expect_counts_of(count_listed(context(), baskets_, rows, block), rows, all);
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

TEST_P(AssociationTest, CosinePartnersObeyTheRule) {
  constexpr int64_t dim = 5;
  const Buffer<float> vectors(context(), test::random_floats(kItems * dim, 4));
  PairRule rule;
  rule.category = test::random_ints(kItems, 5, -1, 2);
  rule.n_categories = 3;
  rule.allowed = {0, 1, 0, 0, 0, 1, 1, 0, 1};
  const auto all = cosine_partners(context(), vectors.matrix(kItems, dim), kItems, 1.0f, 0.0f).to_csr();
  for (const auto kind : {PairRule::Kind::same, PairRule::Kind::different, PairRule::Kind::table}) {
    rule.kind = kind;
    const auto kept = cosine_partners(context(), vectors.matrix(kItems, dim), kItems, 1.0f, 0.0f, rule).to_csr();
    std::vector<int32_t> expected;
    for (int32_t i = 0; i < kItems; ++i) {
      for (const int32_t j : all.row(i)) {
        if (rule.allows(i, j)) expected.push_back(j);
      }
    }
    EXPECT_EQ(kept.columns, expected);
    EXPECT_FALSE(expected.empty());
  }
}

TEST_P(AssociationTest, ExcludedPairsAreNotListed) {
  constexpr int64_t dim = 5;
  const Buffer<float> vectors(context(), test::random_floats(kItems * dim, 4));
  const auto all = cosine_partners(context(), vectors.matrix(kItems, dim), kItems, 1.0f, 0.0f).to_csr();
  PairRule rule;
  const std::vector<int32_t> items{0, 0, 7}, partners{all.row(0)[0], all.row(0)[2], all.row(7)[1]};
  rule.excluded = csr_from_pairs(items, partners, {}, kItems, kItems);
  const auto kept = cosine_partners(context(), vectors.matrix(kItems, dim), kItems, 1.0f, 0.0f, rule).to_csr();
  EXPECT_EQ(kept.nnz(), all.nnz() - 3);
  for (size_t p = 0; p < items.size(); ++p) {
    EXPECT_FALSE(kept.contains(items[p], partners[p]));
    EXPECT_FALSE(rule.allows(items[p], partners[p]));
  }
  EXPECT_TRUE(rule.allows(7, all.row(7)[0]));
}

TEST_P(AssociationTest, PiecesGiveTheListsOfTheWhole) {
  constexpr int64_t n = 300, dim = 5;
  const std::vector<float> host = test::random_floats(n * dim, 6);
  const Buffer<float> vectors(context(), host);
  PairRule rule;
  rule.category = test::random_ints(n, 5, -1, 2);
  rule.excluded = csr_from_pairs(std::vector<int32_t>{5, 140, 299}, std::vector<int32_t>{250, 3, 0}, {}, n, n);
  for (const auto kind : {PairRule::Kind::any, PairRule::Kind::different}) {
    rule.kind = kind;
    const Partners whole = cosine_partners(context(), vectors.matrix(n, dim), 9, 0.5f, 0.0f, rule);
    for (const int64_t device_bytes : {int64_t{1}, int64_t{1} << 20}) {
      const Partners pieces = cosine_partners_in_pieces(context(), host, dim, 9, 0.5f, 0.0f, device_bytes, rule);
      EXPECT_EQ(pieces.items, whole.items);
      EXPECT_EQ(pieces.scores, whole.scores);
    }
  }
}

TEST_P(AssociationTest, OneItemHasNoPartners) {
  const Buffer<float> vectors(context(), std::vector<float>{1, 2});
  EXPECT_EQ(cosine_partners(context(), vectors.matrix(1, 2), 5, 1.0f, 0.0f).items, std::vector<int32_t>{-1});
  const PairCounts pairs = count_pairs(context(), test::pattern({{0}, {0}}, 1), 1);
  EXPECT_EQ(counted_partners(context(), pairs, Measure::lift, 5, 0.0f).items, std::vector<int32_t>{-1});
}

// LightGCN on a dense normalised matrix in double precision.
TEST_P(AssociationTest, GraphVectorsAreTheMeanOverTheLayers) {
  constexpr int64_t dim = 3, n_users = 60;
  const std::vector<float> users = test::random_floats(n_users * dim, 3), items = test::random_floats(kItems * dim, 4);
  const Buffer<float> user_buffer(context(), users), item_buffer(context(), items);
  const test::HostCsr by_item = ref::transpose(drawn_);
  const auto degree = [](const test::HostCsr& m, int64_t r) {
    return static_cast<double>(m.row_offsets[static_cast<size_t>(r) + 1] - m.row_offsets[static_cast<size_t>(r)]);
  };
  for (const int64_t layers : {0, 1, 2, 3}) {
    std::vector<double> u(users.begin(), users.end()), v(items.begin(), items.end()), mean = v;
    for (int64_t layer = 1; layer <= layers; ++layer) {
      std::vector<double> u_next(u.size()), v_next(v.size());
      for (int64_t r = 0; r < n_users; ++r) {
        for (auto e = drawn_.row_offsets[static_cast<size_t>(r)]; e < drawn_.row_offsets[static_cast<size_t>(r) + 1];
             ++e) {
          const int64_t i = drawn_.columns[static_cast<size_t>(e)];
          const double weight = 1.0 / std::sqrt(degree(drawn_, r) * degree(by_item, i));
          for (int64_t x = 0; x < dim; ++x) {
            const auto user = static_cast<size_t>(r * dim + x), item = static_cast<size_t>(i * dim + x);
            v_next[item] += weight * u[user];
            u_next[user] += weight * v[item];
          }
        }
      }
      u = u_next;
      v = v_next;
      for (size_t at = 0; at < v.size(); ++at) mean[at] += v[at];
    }
    const std::vector<float> found =
        graph_vectors(context(), baskets_, user_buffer.matrix(n_users, dim), item_buffer.matrix(kItems, dim), layers)
            .to_host();
    ASSERT_EQ(found.size(), mean.size());
    // Values are at most 1, and a normalised step makes them at most the root of the degree. A layer makes as many
    // roundings as its longest row has entries, and six more.
    const double bound = static_cast<double>(1 + layers) * (n_users + 6) * std::sqrt(n_users) * test::kRound;
    for (size_t at = 0; at < mean.size(); ++at) {
      EXPECT_NEAR(static_cast<double>(found[at]), mean[at] / static_cast<double>(layers + 1), bound)
          << layers << " layers, " << at;
    }
  }
}

TEST_P(AssociationTest, VectorsThatAreNotFiniteAreNamed) {
  constexpr int64_t rows = 5000, dim = 2;
  std::vector<float> vectors(rows * dim, 1.0f);
  const auto name = [](int64_t row) { return "item no. " + std::to_string(row); };
  {
    const Buffer<float> buffer(context(), vectors);
    EXPECT_NO_THROW(check_finite_rows(context(), buffer.matrix(rows, dim), name));
    EXPECT_NO_THROW(check_finite_rows(context(), MatrixView<const float>{}, name));
  }
  vectors[4500 * dim + 1] = std::numeric_limits<float>::quiet_NaN();
  vectors[4700 * dim] = std::numeric_limits<float>::infinity();
  const Buffer<float> buffer(context(), vectors);
  try {
    check_finite_rows(context(), buffer.matrix(rows, dim), name);
    FAIL() << "NaN was let through";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("item no. 4500 is not finite: value 1 is nan"), std::string::npos)
        << error.what();
  }
}

// Rules of two items at support 0.006 and confidence 0.25: 150 of the 463 published rules, and the two with the highest
// lift among them (the arules example in Lantz, Machine Learning with R, 2013).
TEST_P(AssociationTest, GroceriesRulesAsPublished) {
  const char* folder = std::getenv("SHEAF_DATA");
  const std::filesystem::path source = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  const auto root = folder ? std::filesystem::path(folder) : source.parent_path() / "shared" / "data";
  std::ifstream in(root / "groceries" / "groceries_baskets.csv");
  if (!in) GTEST_SKIP() << "no groceries in " << root << "; set SHEAF_DATA to the folder of the public data sets";
  std::map<std::string, int32_t> ids;
  std::vector<std::vector<int32_t>> baskets;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    auto& basket = baskets.emplace_back();
    for (std::string name; std::getline(fields, name, ',');) {
      basket.push_back(ids.try_emplace(name, static_cast<int32_t>(ids.size())).first->second);
    }
    std::ranges::sort(basket);
  }
  const auto n_items = static_cast<int64_t>(ids.size());
  const PairCounts counts = count_pairs(context(), test::pattern(baskets, n_items), 60);  // 0.006 * 9835 = 59.01
  const HostCsr rules = counted_partners(context(), counts, Measure::confidence, n_items - 1, 0.25f).to_csr();
  EXPECT_EQ(rules.nnz(), 150);
  const auto expect_rule = [&](const char* from, const char* to, double support, double confidence, double lift) {
    const int32_t i = ids.at(from), j = ids.at(to);
    EXPECT_TRUE(rules.contains(i, j));
    EXPECT_NEAR(counts.measure(Measure::support, i, j), support, 5e-10);  // as printed, to nine places
    EXPECT_NEAR(counts.measure(Measure::confidence, i, j), confidence, 5e-8);
    EXPECT_NEAR(counts.measure(Measure::lift, i, j), lift, 5e-7);
  };
  expect_rule("herbs", "root vegetables", 0.007015760, 0.4312500, 3.956477);
  expect_rule("berries", "whipped/sour cream", 0.009049314, 0.2721713, 3.796886);
}

SHEAF_ON_EVERY_BACKEND(AssociationTest);

TEST(Symmetrised, IsTheUnionWithTheLargerScore) {
  const HostCsr both = symmetrised(test::sparse({{0, 2, 0, 5}, {3, 0, 0, 0}, {1, 0, 0, 0}, {4, 0, 0, 0}}));
  const HostCsr expected = test::sparse({{0, 3, 1, 5}, {3, 0, 0, 0}, {1, 0, 0, 0}, {5, 0, 0, 0}});
  EXPECT_EQ(both.row_offsets, expected.row_offsets);
  EXPECT_EQ(both.columns, expected.columns);
  EXPECT_EQ(both.values, expected.values);
  EXPECT_EQ(symmetrised(HostCsr{}).n_rows(), 0);
}

TEST(PairRule, LeavesOutWhatItForbids) {
  using Kind = PairRule::Kind;
  PairRule rule{Kind::any, {0, 0, 1, -1}, 2, {0, 1, 0, 0}};  // the table: items of 0 to partners of 1
  const auto pairs = [&](Kind kind) {
    rule.kind = kind;
    std::vector<std::pair<int32_t, int32_t>> allowed;
    for (int32_t i = 0; i < 4; ++i) {
      for (int32_t j = 0; j < 4; ++j) {
        if (i != j && rule.allows(i, j)) allowed.emplace_back(i, j);
      }
    }
    return allowed;
  };
  using Pairs = std::vector<std::pair<int32_t, int32_t>>;
  EXPECT_EQ(pairs(Kind::any).size(), 12u);
  EXPECT_EQ(pairs(Kind::same), (Pairs{{0, 1}, {1, 0}}));
  EXPECT_EQ(pairs(Kind::different), (Pairs{{0, 2}, {1, 2}, {2, 0}, {2, 1}}));
  EXPECT_EQ(pairs(Kind::table), (Pairs{{0, 2}, {1, 2}}));

  const PairCounts counts{9, {5, 6, 7, 8}, {0, 3, 4, 5, 6}, {1, 2, 3, 0, 0, 0}, {4, 3, 2, 4, 3, 2}};
  const PairCounts kept = allowed_pairs(counts, rule);
  EXPECT_EQ(kept.n_baskets, 9);
  EXPECT_EQ(kept.item_counts, counts.item_counts);
  EXPECT_EQ(kept.row_offsets, (std::vector<int64_t>{0, 1, 1, 1, 1}));
  EXPECT_EQ(kept.companions, (std::vector<int32_t>{2}));
  EXPECT_EQ(kept.counts, (std::vector<int32_t>{3}));
}

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
  for (const char* text : {"", "Lift", "lift ", "count", "cosine"})
    EXPECT_THROW(parse_measure(text), UsageError) << text;
}

}  // namespace
}  // namespace sheaf
