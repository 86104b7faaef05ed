#include <cmath>
#include <limits>
#include <vector>

#include "kernels/association/count_topk.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

using association::Measure;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Measure kMeasures[] = {Measure::support,    Measure::confidence, Measure::lift,  Measure::leverage,
                                 Measure::conviction, Measure::jaccard,    Measure::cosine};

struct Case {
  std::vector<int64_t> row_offsets{0};
  std::vector<int32_t> companions = {}, counts = {}, item_counts = {};
  int64_t n_baskets = 0;
  Measure measure = Measure::lift;
  float min_score = 0.0f;
  int64_t k = 1;
  int64_t n_items() const { return static_cast<int64_t>(item_counts.size()); }
};

Case case_of(const test::HostCsr& baskets) {
  Case c;
  const test::HostCsr item_baskets = ref::transpose(baskets);
  for (const auto& row : ref::cooccurrence(baskets, 1)) {
    for (const auto& [companion, count] : row) {
      c.companions.push_back(companion);
      c.counts.push_back(count);
    }
    const auto item = c.row_offsets.size() - 1;
    c.item_counts.push_back(static_cast<int32_t>(item_baskets.row_offsets[item + 1] - item_baskets.row_offsets[item]));
    c.row_offsets.push_back(static_cast<int64_t>(c.companions.size()));
  }
  c.n_baskets = baskets.n_rows();
  return c;
}

struct Lists {
  std::vector<int32_t> ids;
  std::vector<float> scores;
  bool same_bits(const Lists& other) const { return ids == other.ids && test::same_bits(scores, other.scores); }
};

Lists run(Context& context, const Case& c) {
  const Buffer<int64_t> row_offsets(context, c.row_offsets);
  const Buffer<int32_t> companions(context, c.companions), counts(context, c.counts),
      item_counts(context, c.item_counts);
  test::Guarded<int32_t> ids(context, c.n_items() * c.k);
  test::Guarded<float> scores(context, c.n_items() * c.k);
  association::count_topk(context, {.row_offsets = row_offsets.view(),
                                    .companions = companions.view(),
                                    .counts = counts.view(),
                                    .item_counts = item_counts.view(),
                                    .n_baskets = c.n_baskets,
                                    .measure = c.measure,
                                    .min_score = c.min_score,
                                    .neighbours = ids.matrix(c.n_items(), c.k),
                                    .scores = scores.matrix(c.n_items(), c.k)});
  ids.expect_intact();
  scores.expect_intact();
  return {ids.to_host(), scores.to_host()};
}

// The measure is computed in double with fewer than 8 roundings of numbers up to `scale`, then becomes a float.
double float_bound(double score, double scale) {
  return std::isinf(score) ? 0.0 : test::kRound * 1.01 * std::abs(score) + 8.0 * 0x1.0p-53 * scale;
}

// 1 - c_ij / c_i is at least 1 / c_i: conviction's relative error grows by c_i.
double scale_of(Measure measure, double score, int32_t c_i) {
  if (measure == Measure::leverage) return 1.0;
  return measure == Measure::conviction ? std::abs(score) * c_i : std::abs(score);
}

void expect_right(const Case& c, const Lists& lists) {
  for (size_t i = 0; i < c.item_counts.size(); ++i) {
    std::vector<ref::Candidate> candidates(c.item_counts.size(), {.may = false, .must = false});
    for (auto e = static_cast<size_t>(c.row_offsets[i]); e < static_cast<size_t>(c.row_offsets[i + 1]); ++e) {
      const auto j = static_cast<size_t>(c.companions[e]);
      const double score = ref::measure(c.measure, c.counts[e], c.item_counts[i], c.item_counts[j], c.n_baskets);
      const double bound = float_bound(score, scale_of(c.measure, score, c.item_counts[i]));
      candidates[j] = {score, bound, score >= c.min_score - bound, score >= c.min_score + bound};
    }
    const size_t first = i * static_cast<size_t>(c.k);
    EXPECT_EQ(ref::top_k_fault(candidates, lists.ids.data() + first, lists.scores.data() + first, c.k, 0.0f), "")
        << "item " << i << " of " << c.n_items() << ", k " << c.k << ", measure " << static_cast<int>(c.measure)
        << ", min_score " << c.min_score;
  }
}

class CountTopkTest : public test::OpTest {};

TEST_P(CountTopkTest, AgreesWithOracle) {
  for (const int64_t n_items : {0, 1, 2, 63, 64, 65, 200}) {
    Case c = case_of(n_items > 0 ? test::random_csr(90, n_items, 12, 320, false) : test::HostCsr{});
    for (const Measure measure : kMeasures) {
      for (const int64_t k : {1, 5, 256}) {
        for (const float min_score : {-kInfinity, 0.0f, 0.07f, 1.3f, kInfinity}) {
          c.measure = measure;
          c.k = k;
          c.min_score = min_score;
          expect_right(c, run(context(), c));
        }
      }
    }
  }
}

TEST_P(CountTopkTest, EveryMeasureByHand) {
  // 16 baskets; item 0 in 4 of them, item 1 in 8, both in 2.
  const auto score = [&](Measure measure, std::vector<int32_t> item_counts, int32_t both) {
    Case c{.row_offsets = {0, 1, 1}, .companions = {1}, .counts = {both}, .item_counts = std::move(item_counts)};
    c.n_baskets = 16;
    c.measure = measure;
    c.min_score = -kInfinity;
    const Lists lists = run(context(), c);
    EXPECT_EQ(lists.ids, (std::vector<int32_t>{1, -1}));
    return lists.scores[0];
  };
  EXPECT_EQ(score(Measure::support, {4, 8}, 2), 0.125f);
  EXPECT_EQ(score(Measure::confidence, {4, 8}, 2), 0.5f);
  EXPECT_EQ(score(Measure::lift, {4, 8}, 2), 1.0f);
  EXPECT_EQ(score(Measure::leverage, {4, 8}, 2), 0.0f);
  EXPECT_EQ(score(Measure::leverage, {4, 8}, 1), -0.0625f);
  EXPECT_EQ(score(Measure::conviction, {4, 8}, 2), 1.0f);
  EXPECT_EQ(score(Measure::conviction, {4, 8}, 4), kInfinity);
  EXPECT_EQ(score(Measure::conviction, {4, 16}, 4), kInfinity);  // 0 / 0 too: i never comes without j
  EXPECT_EQ(score(Measure::jaccard, {4, 8}, 2), 0.2f);
  EXPECT_EQ(score(Measure::cosine, {4, 16}, 2), 0.25f);
  for (const Measure measure : kMeasures) {
    EXPECT_EQ(score(measure, {0, 8}, 0), 0.0f);
    EXPECT_EQ(score(measure, {4, 0}, 0), 0.0f);
  }
}

TEST_P(CountTopkTest, CountsBeyond32Bits) {
  Case c{.row_offsets = {0, 1, 2}, .companions = {1, 0}, .counts = {1500000000, 1500000000}};
  c.item_counts = {2000000000, 1900000000};
  c.n_baskets = int64_t{1} << 40;
  for (const Measure measure : kMeasures) {
    c.measure = measure;
    const Lists lists = run(context(), c);
    EXPECT_EQ(lists.ids, (std::vector<int32_t>{1, 0}));
    for (size_t i = 0; i < 2; ++i) {
      const double score = ref::measure(measure, c.counts[i], c.item_counts[i], c.item_counts[1 - i], c.n_baskets);
      EXPECT_NEAR(lists.scores[i], score, float_bound(score, 4.0 * std::abs(score))) << static_cast<int>(measure);
    }
  }
}

TEST_P(CountTopkTest, EqualScoresGoByIdInfinitiesFirst) {
  // Item 0's companions in any order: 5 and 2 never miss (infinite conviction), 4, 3 and 1 tie.
  Case c{.row_offsets = {0, 5, 5, 5, 5, 5, 5}, .companions = {5, 4, 3, 2, 1}, .counts = {4, 2, 2, 4, 2}};
  c.item_counts = {4, 8, 8, 8, 8, 8};
  c.n_baskets = 16;
  c.measure = Measure::conviction;
  c.k = 4;
  const Lists lists = run(context(), c);
  EXPECT_EQ(std::vector<int32_t>(lists.ids.begin(), lists.ids.begin() + 4), (std::vector<int32_t>{2, 5, 1, 3}));
  EXPECT_EQ(std::vector<float>(lists.scores.begin(), lists.scores.begin() + 4),
            (std::vector<float>{kInfinity, kInfinity, 1.0f, 1.0f}));
}

TEST_P(CountTopkTest, TheLeastScoreItselfIsListed) {
  Case c{.row_offsets = {0, 2, 2, 2}, .companions = {1, 2}, .counts = {2, 1}, .item_counts = {4, 8, 8}};
  c.n_baskets = 16;
  c.min_score = 1.0f;  // lifts are 1 and 1/2
  c.k = 2;
  EXPECT_EQ(run(context(), c).ids, (std::vector<int32_t>{1, -1, -1, -1, -1, -1}));
  c.min_score = std::nextafter(1.0f, 2.0f);
  EXPECT_EQ(run(context(), c).ids, std::vector<int32_t>(6, -1));
}

TEST_P(CountTopkTest, SameBitsOnEveryRunAndAnyThreads) {
  Case c = case_of(test::random_csr(500, 300, 10, 321, false));
  c.measure = Measure::cosine;
  c.k = 20;
  const Lists first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(run(*make_context(threads), c).same_bits(first)) << threads;
}

TEST_P(CountTopkTest, RefusesWrongArguments) {
  const Buffer<int64_t> offsets = Buffer<int64_t>::zeros(context(), 4);
  Buffer<int32_t> memory = Buffer<int32_t>::zeros(context(), 64);
  Buffer<float> scores = Buffer<float>::zeros(context(), 3 * 257);
  Buffer<int32_t> ids = Buffer<int32_t>::zeros(context(), 3 * 257);
  const int32_t* m = memory.data();
  const association::CountTopkArgs good{.row_offsets = offsets.view(),
                                        .companions = {m, 5},
                                        .counts = {m, 5},
                                        .item_counts = {m, 3},
                                        .n_baskets = 7,
                                        .neighbours = {ids.data(), 3, 2},
                                        .scores = {scores.data(), 3, 2}};
  EXPECT_NO_THROW(association::count_topk(context(), good));
  const auto refuses = [&](const auto& spoil) {
    association::CountTopkArgs bad = good;
    spoil(bad);
    EXPECT_THROW(association::count_topk(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.neighbours.cols = a.scores.cols = 0; });
  refuses([](auto& a) { a.neighbours.cols = a.scores.cols = 257; });
  refuses([](auto& a) { a.row_offsets.size = 3; });
  refuses([](auto& a) { a.counts.size = 4; });
  refuses([](auto& a) { a.neighbours.rows = 2; });
  refuses([](auto& a) { a.scores.rows = 2; });
  refuses([](auto& a) { a.scores.cols = 3; });
  refuses([](auto& a) { a.n_baskets = -1; });
}

SHEAF_ON_EVERY_BACKEND(CountTopkTest);

}  // namespace
}  // namespace sheaf
