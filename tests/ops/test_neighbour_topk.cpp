#include <cmath>
#include <vector>

#include "kernels/association/neighbour_topk.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

struct Case {
  test::HostCsr history, similarity, exclude;
  int64_t k;
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

Lists run(Context& context, const Case& c) {
  const test::DeviceCsr history(context, c.history), similarity(context, c.similarity), exclude(context, c.exclude);
  const int64_t n_users = c.history.n_rows();
  test::Guarded<int32_t> ids(context, n_users * c.k);
  test::Guarded<float> scores(context, n_users * c.k);
  association::neighbour_topk(context, {.history = history.view(),
                                        .similarity = similarity.view(),
                                        .exclude = c.exclude.n_rows() ? exclude.view() : CsrView{},
                                        .top_items = ids.matrix(n_users, c.k),
                                        .top_scores = scores.matrix(n_users, c.k)});
  ids.expect_intact();
  scores.expect_intact();
  return {ids.to_host(), scores.to_host()};
}

void expect_right(const Case& c, const Lists& lists) {
  const auto n_items = static_cast<size_t>(c.history.n_columns);
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
      const double bound = ref::sum_bound(static_cast<int64_t>(end - begin), magnitude[i]);
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

class NeighbourTopkTest : public test::OpTest {};

TEST_P(NeighbourTopkTest, AgreesWithOracle) {
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

TEST_P(NeighbourTopkTest, NegativeAndCancelledScoresAreNotListed) {
  Case c;
  c.k = 4;
  c.history = {{0, 2}, {0, 1}, {1.0f, 1.0f}, 4};
  c.similarity = {{0, 3, 5, 5, 5}, {3, 2, 1, 2, 3}, {2.0f, 1.0f, -1.0f, -1.0f, 2.0f}, 4};  // columns in any order
  const Lists lists = run(context(), c);
  EXPECT_EQ(lists.ids, (std::vector<int32_t>{3, -1, -1, -1}));
  EXPECT_EQ(lists.scores, (std::vector<float>{4.0f, 0.0f, 0.0f, 0.0f}));
}

TEST_P(NeighbourTopkTest, EqualScoresGoById) {
  Case c;
  c.k = 3;
  c.history = {{0, 1}, {0}, {}, 6};
  c.similarity = {{0, 5, 5, 5, 5, 5, 5}, {5, 4, 3, 2, 1}, {1.0f, 1.0f, 1.0f, 1.0f, 1.0f}, 6};
  EXPECT_EQ(run(context(), c).ids, (std::vector<int32_t>{1, 2, 3}));
}

TEST_P(NeighbourTopkTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(80, 150, 10, true);
  const Lists first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), c), first) << threads;
}

TEST_P(NeighbourTopkTest, RefusesWrongArguments) {
  Case c = random_case(3, 10, 0, true);
  EXPECT_THROW(run(context(), c), UsageError);
  c.k = 2;
  c.similarity.values.clear();
  EXPECT_THROW(run(context(), c), UsageError);
}

SHEAF_ON_EVERY_BACKEND(NeighbourTopkTest);

}  // namespace
}  // namespace sheaf
