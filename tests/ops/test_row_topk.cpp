#include <limits>
#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/dense/row_topk.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  int64_t n, n_items, k;
  std::vector<float> scores;
  test::HostCsr exclude = {};  // no rows: none
  std::vector<int32_t> exclude_rows = {};
};

struct Lists {
  std::vector<int32_t> ids;
  std::vector<float> scores;
  bool same_bits(const Lists& other) const { return ids == other.ids && test::same_bits(scores, other.scores); }
};

// Few values, so that many are equal; a row of exclude for every row.
Case random_case(int64_t n, int64_t n_items, int64_t k) {
  Case c{n, n_items, k, test::random_floats(n * n_items, 420)};
  for (size_t i = 0; i < c.scores.size(); i += 3) c.scores[i] = static_cast<float>(static_cast<int>(c.scores[i] * 8));
  if (n_items > 0) c.exclude = test::random_csr(n, n_items, 40, 421, false);
  return c;
}

// Rows share the rows of an exclude matrix of another size.
Case shared_case(int64_t n, int64_t n_items, int64_t n_excludes, int64_t k) {
  Case c = random_case(n, n_items, k);
  c.exclude = test::random_csr(n_excludes, n_items, 40, 422, false);
  c.exclude_rows = test::random_ints(n, 423, 0, static_cast<int32_t>(n_excludes) - 1);
  return c;
}

Lists run(Context& context, const Case& c) {
  const Buffer<float> scores(context, c.scores);
  const test::DeviceCsr exclude(context, c.exclude);
  const Buffer<int32_t> exclude_rows(context, c.exclude_rows);
  test::Guarded<int32_t> top_items(context, c.n * c.k);
  test::Guarded<float> top_scores(context, c.n * c.k);
  dense::row_topk(context, {.scores = scores.matrix(c.n, c.n_items),
                            .exclude = c.exclude.n_rows() ? exclude.view() : CsrView{},
                            .exclude_rows = exclude_rows.view(),
                            .top_items = top_items.matrix(c.n, c.k),
                            .top_scores = top_scores.matrix(c.n, c.k)});
  top_items.expect_intact();
  top_scores.expect_intact();
  return {top_items.to_host(), top_scores.to_host()};
}

// Scores are copied: no rounding is allowed.
void expect_right(Context& context, const Case& c) {
  SCOPED_TRACE(testing::Message() << c.n << " rows, " << c.n_items << " items, k " << c.k);
  const Lists lists = run(context, c);
  for (int64_t r = 0; r < c.n; ++r) {
    std::vector<ref::Candidate> candidates(static_cast<size_t>(c.n_items));
    for (size_t i = 0; i < candidates.size(); ++i) {
      candidates[i].score = static_cast<double>(c.scores[static_cast<size_t>(r) * candidates.size() + i]);
    }
    if (c.exclude.n_rows()) {
      const auto row = static_cast<size_t>(c.exclude_rows.empty() ? r : c.exclude_rows[static_cast<size_t>(r)]);
      for (int64_t e = c.exclude.row_offsets[row]; e < c.exclude.row_offsets[row + 1]; ++e) {
        ref::Candidate& candidate = candidates[static_cast<size_t>(c.exclude.columns[static_cast<size_t>(e)])];
        candidate.may = candidate.must = false;
      }
    }
    EXPECT_EQ(ref::top_k_fault(candidates, lists.ids.data() + r * c.k, lists.scores.data() + r * c.k, c.k, -kInfinity),
              "")
        << "row " << r;
  }
}

class RowTopkTest : public test::OpTest {};

TEST_P(RowTopkTest, AgreesWithOracle) {
  for (const int64_t n_items : {0, 1, 31, 63, 64, 65, 127, 128, 129, 1500}) {
    for (const int64_t k : {1, 7, 256}) expect_right(context(), random_case(5, n_items, k));
  }
  for (const int64_t n : {0, 1, 3, 4, 5, 33}) {
    Case c = random_case(n, 200, 10);
    expect_right(context(), c);
    c.exclude = {};
    expect_right(context(), c);
  }
}

TEST_P(RowTopkTest, RowsOfExcludeAreNamed) {
  for (const int64_t n_excludes : {1, 3, 50}) expect_right(context(), shared_case(9, 150, n_excludes, 20));
  Case none = shared_case(9, 150, 3, 20);  // named, but there are none
  none.exclude = {};
  expect_right(context(), none);
}

TEST_P(RowTopkTest, AscendingAndDescendingScores) {
  Case c{1, 2000, 256, std::vector<float>(2000)};
  std::iota(c.scores.begin(), c.scores.end(), 0.0f);
  const Lists ascending = run(context(), c);
  for (int32_t place = 0; place < 256; ++place) EXPECT_EQ(ascending.ids[static_cast<size_t>(place)], 1999 - place);
  for (float& score : c.scores) score = -score;
  const Lists descending = run(context(), c);
  for (int32_t place = 0; place < 256; ++place) EXPECT_EQ(descending.ids[static_cast<size_t>(place)], place);
}

TEST_P(RowTopkTest, EqualScoresGoById) {
  const Case c{2, 300, 40, std::vector<float>(600, 0.5f)};
  const Lists lists = run(context(), c);
  for (int32_t place = 0; place < 80; ++place) EXPECT_EQ(lists.ids[static_cast<size_t>(place)], place % 40);
}

TEST_P(RowTopkTest, NanComesLastButComes) {
  Case c{1, 6, 6, {kNan, 2.0f, kNan, -kInfinity, 3.0f, kInfinity}};
  EXPECT_EQ(run(context(), c).ids, (std::vector<int32_t>{5, 4, 1, 3, 0, 2}));
  c.k = 3;
  EXPECT_EQ(run(context(), c).ids, (std::vector<int32_t>{5, 4, 1}));
  // A list full of NaN gives way to every number of a later tile.
  c = {1, 400, 3, std::vector<float>(400, kNan)};
  EXPECT_EQ(run(context(), c).ids, (std::vector<int32_t>{0, 1, 2}));
  c.scores[300] = -kInfinity;
  c.scores[399] = -7.0f;
  EXPECT_EQ(run(context(), c).ids, (std::vector<int32_t>{399, 300, 0}));
}

TEST_P(RowTopkTest, EverythingExcluded) {
  Case c{2, 3, 2, {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}};
  c.exclude = {{0, 3, 5}, {0, 1, 2, 1, 2}, {}, 3};
  const Lists lists = run(context(), c);
  EXPECT_EQ(lists.ids, (std::vector<int32_t>{-1, -1, 0, -1}));
  EXPECT_EQ(lists.scores, (std::vector<float>{-kInfinity, -kInfinity, 4.0f, -kInfinity}));
}

TEST_P(RowTopkTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = shared_case(70, 333, 12, 20);
  const Lists first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(run(*make_context(threads), c).same_bits(first)) << threads;
}

TEST_P(RowTopkTest, RefusesWrongArguments) {
  Buffer<float> floats = Buffer<float>::zeros(context(), 64);
  Buffer<int32_t> ints = Buffer<int32_t>::zeros(context(), 64);
  Buffer<int64_t> offsets = Buffer<int64_t>::zeros(context(), 64);
  const CsrView exclude{offsets.data(), ints.data(), nullptr, 2, 5, 0};
  const dense::RowTopkArgs good{.scores = {floats.data(), 2, 5},
                                .exclude = exclude,
                                .top_items = {ints.data() + 32, 2, 3},
                                .top_scores = {floats.data() + 32, 2, 3}};
  EXPECT_NO_THROW(dense::row_topk(context(), good));
  const auto refuses = [&](const auto& spoil) {
    dense::RowTopkArgs bad = good;
    spoil(bad);
    EXPECT_THROW(dense::row_topk(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.top_items.cols = a.top_scores.cols = 0; });
  refuses([](auto& a) { a.top_items.cols = a.top_scores.cols = 257; });
  refuses([](auto& a) { a.top_items.rows = 3; });
  refuses([](auto& a) { a.top_scores.rows = 1; });
  refuses([](auto& a) { a.top_scores.cols = 2; });
  refuses([](auto& a) { a.exclude.n_columns = 4; });
  refuses([](auto& a) { a.exclude.n_rows = 3; });
  refuses([&](auto& a) { a.exclude_rows = {ints.data(), 1}; });
  refuses([&](auto& a) { a.scores.cols = a.exclude.n_columns = int64_t{1} << 31; });
}

SHEAF_ON_EVERY_BACKEND(RowTopkTest);

}  // namespace
}  // namespace sheaf
