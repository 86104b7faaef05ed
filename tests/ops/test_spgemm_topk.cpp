#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/sparse/spgemm_topk.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

struct Case {
  test::HostCsr history, similarity, exclude;
  int64_t k;
  std::vector<float> row_length = {}, item_length = {};  // both or neither
  float shrink = 0.0f;
};

struct Lists {
  std::vector<int32_t> ids;
  std::vector<float> scores;
  bool operator==(const Lists&) const = default;
};

Case random_case(int64_t n_users, int64_t n_items, int64_t k, bool weighted) {
  return {test::random_csr(n_users, n_items, 12, 20, weighted), test::random_csr(n_items, n_items, 30, 21, true),
          test::random_csr(n_users, n_items, 12, 22, false), k};
}

// Users of another number of sources than there are items, with lengths.
Case cosine_case(int64_t n_users, int64_t n_sources, int64_t n_items, int64_t k) {
  return {test::random_csr(n_users, n_sources, 12, 23, true),
          test::random_csr(n_sources, n_items, 30, 24, true),
          test::random_csr(n_users, n_items, 3, 25, false),
          k,
          test::random_floats(n_users, 26, 0.3f, 4.0f),
          test::random_floats(n_items, 27, 0.3f, 4.0f),
          0.7f};
}

Lists run(Context& context, const Case& c) {
  const test::DeviceCsr history(context, c.history), similarity(context, c.similarity), exclude(context, c.exclude);
  const Buffer<float> row_length(context, c.row_length), item_length(context, c.item_length);
  const int64_t n_users = c.history.n_rows();
  test::Guarded<int32_t> ids(context, n_users * c.k);
  test::Guarded<float> scores(context, n_users * c.k);
  sparse::spgemm_topk(context, {.history = history.view(),
                                .similarity = similarity.view(),
                                .exclude = c.exclude.n_rows() ? exclude.view() : CsrView{},
                                .row_length = row_length.view(),
                                .item_length = item_length.view(),
                                .shrink = c.shrink,
                                .top_items = ids.matrix(n_users, c.k),
                                .top_scores = scores.matrix(n_users, c.k)});
  ids.expect_intact();
  scores.expect_intact();
  return {ids.to_host(), scores.to_host()};
}

void expect_right(const Case& c, const Lists& lists) {
  const auto n_items = static_cast<size_t>(c.similarity.n_columns);
  for (size_t u = 0; u < static_cast<size_t>(c.history.n_rows()); ++u) {
    std::vector<double> score(n_items, 0.0), magnitude(n_items, 0.0);
    const auto begin = static_cast<size_t>(c.history.row_offsets[u]),
               end = static_cast<size_t>(c.history.row_offsets[u + 1]);
    for (size_t h = begin; h < end; ++h) {
      const double weight = c.history.values.empty() ? 1.0 : static_cast<double>(c.history.values[h]);
      const auto item = static_cast<size_t>(c.history.columns[h]);
      for (auto n = static_cast<size_t>(c.similarity.row_offsets[item]);
           n < static_cast<size_t>(c.similarity.row_offsets[item + 1]); ++n) {
        const double term = weight * static_cast<double>(c.similarity.values[n]);
        score[static_cast<size_t>(c.similarity.columns[n])] += term;
        magnitude[static_cast<size_t>(c.similarity.columns[n])] += std::abs(term);
      }
    }
    std::vector<ref::Candidate> candidates(n_items);
    for (size_t i = 0; i < n_items; ++i) {
      double bound = ref::sum_bound(static_cast<int64_t>(end - begin), magnitude[i]);
      if (!c.item_length.empty()) {
        const double divisor = static_cast<double>(c.row_length[u]) * static_cast<double>(c.item_length[i]) +
                               static_cast<double>(c.shrink);
        score[i] /= divisor;
        // The divisor's product and sum, and the quotient.
        bound = bound / divisor * (1.0 + 4.0 * test::kRound) + 3.01 * test::kRound * std::abs(score[i]);
      }
      candidates[i] = {score[i], bound, magnitude[i] > 0.0 && score[i] > -bound, score[i] > bound};
    }
    if (c.exclude.n_rows()) {
      for (auto e = static_cast<size_t>(c.exclude.row_offsets[u]);
           e < static_cast<size_t>(c.exclude.row_offsets[u + 1]); ++e) {
        ref::Candidate& candidate = candidates[static_cast<size_t>(c.exclude.columns[e])];
        candidate.may = candidate.must = false;
      }
    }
    const auto first = u * static_cast<size_t>(c.k);
    EXPECT_EQ(ref::top_k_fault(candidates, lists.ids.data() + first, lists.scores.data() + first, c.k, 0.0f), "")
        << "user " << u << ", items " << n_items << ", k " << c.k;
  }
}

class SpgemmTopkTest : public test::OpTest {};

TEST_P(SpgemmTopkTest, AgreesWithOracle) {
  for (const int64_t n_items : {1, 31, 33, 127, 128, 129, 700}) {
    for (const int64_t k : {1, 10, 256}) {
      for (const bool weighted : {false, true}) {
        const Case c = random_case(9, n_items, k, weighted);
        expect_right(c, run(context(), c));
      }
    }
  }
  for (const int64_t n_users : {0, 1, 31, 33}) {
    Case c = random_case(n_users, 50, 5, true);
    c.exclude = {};
    expect_right(c, run(context(), c));
  }
}

TEST_P(SpgemmTopkTest, LengthsAndRectangularSimilarity) {
  for (const auto& [n_sources, n_items] :
       {std::pair{1, 60}, std::pair{60, 1}, std::pair{25, 255}, std::pair{300, 257}}) {
    for (const int64_t k : {1, 10, 256}) {
      for (const float shrink : {0.0f, 0.7f, 100.0f}) {
        Case c = cosine_case(33, n_sources, n_items, k);
        c.shrink = shrink;
        expect_right(c, run(context(), c));
        c.row_length.clear();
        c.item_length.clear();
        expect_right(c, run(context(), c));
      }
    }
  }
  expect_right(cosine_case(0, 5, 9, 3), run(context(), cosine_case(0, 5, 9, 3)));
}

// The header's example: history = X^T, similarity = X, the lengths of X's columns.
TEST_P(SpgemmTopkTest, StrongestCosinesBetweenColumns) {
  const test::HostCsr x = test::random_csr(40, 30, 9, 28, false);
  Case c;
  c.k = 7;
  c.history = ref::transpose(x);
  c.similarity = x;
  c.similarity.values.assign(x.columns.size(), 1.0f);
  c.exclude.n_columns = 30;
  std::vector<std::vector<float>> columns(30, std::vector<float>(40, 0.0f));
  for (int32_t i = 0; i < 30; ++i) {
    const auto begin = c.history.row_offsets[static_cast<size_t>(i)],
               end = c.history.row_offsets[static_cast<size_t>(i) + 1];
    c.row_length.push_back(std::sqrt(static_cast<float>(std::max<int64_t>(end - begin, 1))));
    for (int64_t e = begin; e < end; ++e) {
      columns[static_cast<size_t>(i)][static_cast<size_t>(c.history.columns[static_cast<size_t>(e)])] = 1.0f;
    }
    c.exclude.columns.push_back(i);  // not itself
    c.exclude.row_offsets.push_back(i + 1);
  }
  c.item_length = c.row_length;
  const Lists lists = run(context(), c);
  for (size_t i = 0; i < 30; ++i) {
    std::vector<ref::Candidate> candidates(30);
    for (size_t j = 0; j < 30; ++j) {
      const double cosine = ref::cosine(columns[i].data(), columns[j].data(), 40);
      const bool listed = i != j && cosine > 0.0;
      // Sums of ones are exact; two roots, a product, a quotient round.
      candidates[j] = {cosine, 4.01 * test::kRound, listed, listed};
    }
    EXPECT_EQ(ref::top_k_fault(candidates, lists.ids.data() + i * 7, lists.scores.data() + i * 7, 7, 0.0f), "") << i;
  }
}

// More users than the CUDA kernel has blocks: each block goes on to a second and third user.
TEST_P(SpgemmTopkTest, MoreUsersThanBlocks) {
  const Case c = cosine_case(2500, 30, 40, 6);
  expect_right(c, run(context(), c));
}

TEST_P(SpgemmTopkTest, NoItems) {
  Case c;
  c.k = 2;
  c.history = {{0, 1, 1}, {0}, {}, 1};
  c.similarity = {{0, 0}, {}, {}, 0};
  EXPECT_EQ(run(context(), c).ids, std::vector<int32_t>(4, -1));
}

TEST_P(SpgemmTopkTest, LengthsByHand) {
  Case c;
  c.k = 3;
  c.history = {{0, 2}, {0, 1}, {2.0f, 1.0f}, 2};
  c.similarity = {{0, 2, 4}, {0, 2, 0, 1}, {3.0f, 6.0f, 2.0f, 2.0f}, 3};
  c.row_length = {2.0f};
  c.item_length = {0.5f, 3.5f, 1.5f};
  c.shrink = 1.0f;  // 8 / 2, 2 / 8, 12 / 4
  const Lists lists = run(context(), c);
  EXPECT_EQ(lists.ids, (std::vector<int32_t>{0, 2, 1}));
  EXPECT_EQ(lists.scores, (std::vector<float>{4.0f, 3.0f, 0.25f}));
}

TEST_P(SpgemmTopkTest, NegativeAndCancelledScoresAreNotListed) {
  Case c;
  c.k = 4;
  c.history = {{0, 2}, {0, 1}, {1.0f, 1.0f}, 4};
  c.similarity = {{0, 3, 5, 5, 5}, {3, 2, 1, 2, 3}, {2.0f, 1.0f, -1.0f, -1.0f, 2.0f}, 4};  // columns in any order
  const Lists lists = run(context(), c);
  EXPECT_EQ(lists.ids, (std::vector<int32_t>{3, -1, -1, -1}));
  EXPECT_EQ(lists.scores, (std::vector<float>{4.0f, 0.0f, 0.0f, 0.0f}));
}

TEST_P(SpgemmTopkTest, EqualScoresGoById) {
  Case c;
  c.k = 3;
  c.history = {{0, 1}, {0}, {}, 6};
  c.similarity = {{0, 5, 5, 5, 5, 5, 5}, {5, 4, 3, 2, 1}, {1.0f, 1.0f, 1.0f, 1.0f, 1.0f}, 6};
  EXPECT_EQ(run(context(), c).ids, (std::vector<int32_t>{1, 2, 3}));
}

TEST_P(SpgemmTopkTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(80, 150, 10, true);
  const Lists first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), c), first) << threads;
  const Case rectangular = cosine_case(90, 70, 200, 12);
  const Lists lists = run(context(), rectangular);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), rectangular), lists) << threads;
}

TEST_P(SpgemmTopkTest, RefusesWrongArguments) {
  Case c = random_case(3, 10, 0, true);
  EXPECT_THROW(run(context(), c), UsageError);
  c.k = 2;
  c.k = 257;
  EXPECT_THROW(run(context(), c), UsageError);
  c.k = 2;
  c.similarity.values.clear();
  EXPECT_THROW(run(context(), c), UsageError);
  const Case good = cosine_case(3, 4, 10, 2);
  EXPECT_NO_THROW(run(context(), good));
  const auto refuses = [&](const auto& spoil) {
    Case bad = good;
    spoil(bad);
    EXPECT_THROW(run(context(), bad), UsageError);
  };
  refuses([](Case& bad) { bad.history.n_columns = 5; });
  refuses([](Case& bad) { bad.row_length.clear(); });
  refuses([](Case& bad) { bad.item_length.clear(); });
  refuses([](Case& bad) { bad.row_length.push_back(1.0f); });
  refuses([](Case& bad) { bad.item_length.pop_back(); });
  refuses([](Case& bad) { bad.shrink = -0.5f; });
  refuses([](Case& bad) { bad.shrink = std::numeric_limits<float>::quiet_NaN(); });
  refuses([](Case& bad) { bad.exclude = {{0, 0}, {}, {}, 10}; });
  refuses([](Case& bad) { bad.exclude = {{0, 0, 0, 0}, {}, {}, 9}; });  // of 10 items
}

SHEAF_ON_EVERY_BACKEND(SpgemmTopkTest);

}  // namespace
}  // namespace sheaf
