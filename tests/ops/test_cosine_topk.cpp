#include <cmath>
#include <limits>
#include <vector>

#include "kernels/association/cosine_topk.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n_items, dim, k;
  float scale, min_score;
  std::vector<float> vectors;
};

struct Lists {
  std::vector<int32_t> ids;
  std::vector<float> scores;
  bool operator==(const Lists&) const = default;
};

Lists run(Context& context, const Case& c) {
  const Buffer<float> vectors(context, c.vectors);
  test::Guarded<int32_t> ids(context, c.n_items * c.k);
  test::Guarded<float> scores(context, c.n_items * c.k);
  association::cosine_topk(context, {.vectors = vectors.matrix(c.n_items, c.dim),
                                     .scale = c.scale,
                                     .min_score = c.min_score,
                                     .neighbours = ids.matrix(c.n_items, c.k),
                                     .scores = scores.matrix(c.n_items, c.k)});
  ids.expect_intact();
  scores.expect_intact();
  return {ids.to_host(), scores.to_host()};
}

// Both unit vectors are rounded (1 + u each, u = 2^-24), then dim products of total size at most 1 are summed, then scaled.
void expect_right(const Case& c, const Lists& lists) {
  const double bound = static_cast<double>(c.scale) * ref::sum_bound(c.dim + 6, 1.0);
  for (int64_t i = 0; i < c.n_items; ++i) {
    std::vector<ref::Candidate> candidates(static_cast<size_t>(c.n_items));
    for (int64_t j = 0; j < c.n_items; ++j) {
      const double cosine = ref::cosine(c.vectors.data() + i * c.dim, c.vectors.data() + j * c.dim, c.dim);
      ref::Candidate& candidate = candidates[static_cast<size_t>(j)];
      candidate.score = std::isnan(cosine) ? 0.0 : std::max(0.0, cosine) * static_cast<double>(c.scale);
      candidate.bound = bound;
      const double low = std::max(static_cast<double>(c.min_score), 0.0);
      candidate.may = i != j && !std::isnan(cosine) && cosine * static_cast<double>(c.scale) >= low - bound;
      candidate.must = i != j && !std::isnan(cosine) && cosine * static_cast<double>(c.scale) > low + bound;
    }
    EXPECT_EQ(ref::top_k_fault(candidates, lists.ids.data() + i * c.k, lists.scores.data() + i * c.k, c.k, 0.0f), "")
        << "item " << i << " of " << c.n_items << ", dim " << c.dim << ", k " << c.k;
  }
}

class CosineTopkTest : public test::OpTest {};

TEST_P(CosineTopkTest, AgreesWithOracle) {
  for (const int64_t n_items : {0, 1, 2, 15, 16, 17, 31, 33, 127, 128, 129}) {
    for (const int64_t k : {1, 10, 256}) {
      const Case c{n_items, 13, k, 1.0f / 13.0f, 0.0f, test::random_floats(n_items * 13, 5)};
      expect_right(c, run(context(), c));
    }
  }
  for (const int64_t dim : {1, 31, 32, 33, 65}) {
    const Case c{60, dim, 5, 1.0f, 0.2f, test::random_floats(60 * dim, 6)};
    expect_right(c, run(context(), c));
  }
}

TEST_P(CosineTopkTest, ZeroAndNanRowsHaveNoNeighboursAndAreNobodys) {
  Case c{40, 6, 39, 1.0f, 0.0f, test::random_floats(40 * 6, 7, 0.1f, 1.0f)};
  for (size_t d = 0; d < 6; ++d) c.vectors[3 * 6 + d] = 0.0f;
  c.vectors[9 * 6 + 2] = std::numeric_limits<float>::quiet_NaN();
  c.vectors[20 * 6 + 5] = std::numeric_limits<float>::infinity();
  const Lists lists = run(context(), c);
  expect_right(c, lists);
  for (const size_t row : {3, 9, 20}) EXPECT_EQ(lists.ids[row * 39], -1);
  for (const int32_t id : lists.ids) EXPECT_TRUE(id != 3 && id != 9 && id != 20);
  EXPECT_EQ(lists.ids[36], -1) << "37 usable rows have 36 neighbours each";
  EXPECT_NE(lists.ids[35], -1);
}

TEST_P(CosineTopkTest, DuplicatesNeverExceedOneAndGoById) {
  Case c{50, 7, 8, 1.0f, 0.0f, {}};
  const std::vector<float> row = test::random_floats(7, 8, 0.1f, 1.0f);
  for (int i = 0; i < 50; ++i) {
    for (const float x : row) c.vectors.push_back(x);
  }
  const Lists lists = run(context(), c);
  for (const float score : lists.scores) EXPECT_LE(score, 1.0f);
  EXPECT_EQ(std::vector<int32_t>(lists.ids.begin(), lists.ids.begin() + 8),
            (std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  expect_right(c, lists);
}

TEST_P(CosineTopkTest, LengthsDoNotMatterAtTheEndsOfTheRange) {
  const Case c{3, 2, 2, 1.0f, 0.0f, {1e30f, 1e30f, 1e-30f, 1e-30f, 1e-38f, 0.0f}};
  expect_right(c, run(context(), c));
}

TEST_P(CosineTopkTest, AllUnderTheThreshold) {
  const Case c{33, 5, 4, 0.5f, 0.6f, test::random_floats(33 * 5, 9)};
  const Lists lists = run(context(), c);
  EXPECT_EQ(lists.ids, std::vector<int32_t>(33 * 4, -1));
  EXPECT_EQ(lists.scores, std::vector<float>(33 * 4, 0.0f));
}

TEST_P(CosineTopkTest, OrthogonalAndOppositeAreNotListed) {
  const Case c{3, 2, 2, 1.0f, -1.0f, {1.0f, 0.0f, 0.0f, 1.0f, -1.0f, 0.0f}};
  EXPECT_EQ(run(context(), c).ids, std::vector<int32_t>(6, -1));
}

TEST_P(CosineTopkTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c{150, 20, 16, 0.25f, 0.01f, test::random_floats(150 * 20, 10)};
  const Lists first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), c), first) << threads;
}

TEST_P(CosineTopkTest, RefusesWrongArguments) {
  Case c{3, 2, 2, 0.0f, 0.0f, test::random_floats(6, 11)};
  EXPECT_THROW(run(context(), c), UsageError);
  c.scale = 1.0f;
  c.k = 300;
  EXPECT_THROW(run(context(), c), UsageError);
  c.k = 2;
  c.min_score = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(run(context(), c), UsageError);
}

SHEAF_ON_EVERY_BACKEND(CosineTopkTest);

}  // namespace
}  // namespace sheaf
