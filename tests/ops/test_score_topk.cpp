#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/score_topk.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  int64_t n_queries, n_items, dim, k;
  std::vector<float> queries, items, bias;
  test::HostCsr exclude;  // no rows: none
};

Case random_case(int64_t n_queries, int64_t n_items, int64_t dim, int64_t k, bool with_extras) {
  Case c{n_queries, n_items, dim, k, {}, {}, {}, {}};
  c.queries = test::random_floats(n_queries * dim, 1);
  c.items = test::random_floats(n_items * dim, 2);
  if (with_extras) {
    c.bias = test::random_floats(n_items, 3);
    if (n_items > 0) c.exclude = test::random_csr(n_queries, n_items, 20, 4, false);
  }
  return c;
}

struct Lists {
  std::vector<int32_t> ids;
  std::vector<float> scores;
  bool same_bits(const Lists& other) const {
    return ids == other.ids && std::memcmp(scores.data(), other.scores.data(), scores.size() * sizeof(float)) == 0;
  }
};

Lists run(Context& context, const Case& c) {
  const Buffer<float> queries(context, c.queries), items(context, c.items), bias(context, c.bias);
  const test::DeviceCsr exclude(context, c.exclude);
  test::Guarded<int32_t> ids(context, c.n_queries * c.k);
  test::Guarded<float> scores(context, c.n_queries * c.k);
  dense::score_topk(context, {.queries = queries.matrix(c.n_queries, c.dim),
                              .items = items.matrix(c.n_items, c.dim),
                              .item_bias = bias.view(),
                              .exclude = c.exclude.n_rows() ? exclude.view() : CsrView{},
                              .top_items = ids.matrix(c.n_queries, c.k),
                              .top_scores = scores.matrix(c.n_queries, c.k)});
  ids.expect_intact();
  scores.expect_intact();
  return {ids.to_host(), scores.to_host()};
}

void expect_right(const Case& c, const Lists& lists) {
  for (int64_t q = 0; q < c.n_queries; ++q) {
    std::vector<ref::Candidate> candidates(static_cast<size_t>(c.n_items));
    for (int64_t i = 0; i < c.n_items; ++i) {
      const ref::Dot dot = ref::dot(c.queries.data() + q * c.dim, c.items.data() + i * c.dim, c.dim);
      const double bias = c.bias.empty() ? 0.0 : static_cast<double>(c.bias[static_cast<size_t>(i)]);
      ref::Candidate& candidate = candidates[static_cast<size_t>(i)];
      candidate.score = dot.value + bias;
      candidate.bound = ref::sum_bound(c.dim + 1, dot.magnitude + std::abs(bias));
    }
    if (c.exclude.n_rows()) {
      const auto row = static_cast<size_t>(q);
      for (int64_t e = c.exclude.row_offsets[row]; e < c.exclude.row_offsets[row + 1]; ++e) {
        ref::Candidate& candidate = candidates[static_cast<size_t>(c.exclude.columns[static_cast<size_t>(e)])];
        candidate.may = candidate.must = false;
      }
    }
    EXPECT_EQ(ref::top_k_fault(candidates, lists.ids.data() + q * c.k, lists.scores.data() + q * c.k, c.k, -kInfinity),
              "")
        << "query " << q << " of " << c.n_queries << ", items " << c.n_items << ", dim " << c.dim << ", k " << c.k;
  }
}

class ScoreTopkTest : public test::OpTest {};

TEST_P(ScoreTopkTest, AgreesWithOracle) {
  for (const int64_t n_items : {0, 1, 15, 16, 17, 31, 33, 127, 128, 129, 1500}) {
    for (const int64_t k : {1, 7, 256}) {
      const Case c = random_case(5, n_items, 19, k, true);
      expect_right(c, run(context(), c));
    }
  }
  for (const int64_t n_queries : {0, 1, 3, 4, 31, 32, 33}) {
    const Case c = random_case(n_queries, 70, 8, 5, false);
    expect_right(c, run(context(), c));
  }
  for (const int64_t dim : {0, 1, 31, 32, 33, 100}) {
    const Case c = random_case(3, 200, dim, 10, true);
    expect_right(c, run(context(), c));
  }
}

TEST_P(ScoreTopkTest, AscendingScoresReplaceEverythingKept) {
  Case c = random_case(1, 2000, 1, 256, false);
  c.queries = {1.0f};
  for (size_t i = 0; i < c.items.size(); ++i) c.items[i] = static_cast<float>(i);
  const Lists lists = run(context(), c);
  for (int32_t place = 0; place < 256; ++place) EXPECT_EQ(lists.ids[static_cast<size_t>(place)], 1999 - place);
}

TEST_P(ScoreTopkTest, EqualScoresGoById) {
  Case c = random_case(2, 300, 4, 40, false);
  c.items.assign(c.items.size(), 0.5f);
  const Lists lists = run(context(), c);
  for (int32_t place = 0; place < 80; ++place) EXPECT_EQ(lists.ids[static_cast<size_t>(place)], place % 40);
}

TEST_P(ScoreTopkTest, NanComesLastButComes) {
  Case c = random_case(1, 6, 1, 6, false);
  c.queries = {1.0f};
  c.items = {kNan, 2.0f, kNan, -kInfinity, 3.0f, kInfinity};
  const Lists lists = run(context(), c);
  EXPECT_EQ(lists.ids, (std::vector<int32_t>{5, 4, 1, 3, 0, 2}));
  c.k = 3;
  EXPECT_EQ(run(context(), c).ids, (std::vector<int32_t>{5, 4, 1}));
  c.queries = {kNan};
  EXPECT_EQ(run(context(), c).ids, (std::vector<int32_t>{0, 1, 2}));
}

TEST_P(ScoreTopkTest, EverythingExcluded) {
  Case c = random_case(1, 3, 2, 2, false);
  c.exclude.row_offsets = {0, 3};
  c.exclude.columns = {0, 1, 2};
  c.exclude.n_columns = 3;
  const Lists lists = run(context(), c);
  EXPECT_EQ(lists.ids, (std::vector<int32_t>{-1, -1}));
  EXPECT_EQ(lists.scores, (std::vector<float>{-kInfinity, -kInfinity}));
}

TEST_P(ScoreTopkTest, SeveralQueriesMayShareARowOfExclude) {
  Case c = random_case(5, 40, 3, 8, false);
  c.exclude.row_offsets = {0, 2, 5};
  c.exclude.columns = {3, 30, 0, 7, 39};
  c.exclude.n_columns = 40;
  const std::vector<int32_t> rows{1, 0, 1, 1, 0};
  const Buffer<float> queries(context(), c.queries), items(context(), c.items);
  const Buffer<int32_t> exclude_rows(context(), rows);
  const test::DeviceCsr exclude(context(), c.exclude);
  Buffer<int32_t> ids(context(), 5 * c.k);
  Buffer<float> scores(context(), 5 * c.k);
  dense::score_topk(context(), {.queries = queries.matrix(5, 3),
                                .items = items.matrix(40, 3),
                                .item_bias = {},
                                .exclude = exclude.view(),
                                .exclude_rows = exclude_rows.view(),
                                .top_items = ids.matrix(5, c.k),
                                .top_scores = scores.matrix(5, c.k)});
  Case own = c;  // each query with its row
  own.exclude.row_offsets = {0};
  own.exclude.columns.clear();
  for (const int32_t row : rows) {
    const auto begin = c.exclude.columns.begin() + (row == 0 ? 0 : 2),
               end = c.exclude.columns.begin() + (row == 0 ? 2 : 5);
    own.exclude.columns.insert(own.exclude.columns.end(), begin, end);
    own.exclude.row_offsets.push_back(static_cast<int64_t>(own.exclude.columns.size()));
  }
  EXPECT_EQ(ids.to_host(), run(context(), own).ids);
}

TEST_P(ScoreTopkTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(70, 333, 24, 20, true);
  const Lists first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(run(*make_context(threads), c).same_bits(first)) << threads;
}

TEST_P(ScoreTopkTest, RefusesWrongArguments) {
  Case c = random_case(2, 3, 4, 257, false);
  EXPECT_THROW(run(context(), c), UsageError);
  c.k = 0;
  EXPECT_THROW(run(context(), c), UsageError);
  c.k = 2;
  c.bias = {1.0f};
  EXPECT_THROW(run(context(), c), UsageError);
}

SHEAF_ON_EVERY_BACKEND(ScoreTopkTest);

}  // namespace
}  // namespace sheaf
