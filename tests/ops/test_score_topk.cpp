#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/core/product_scan.hpp"
#include "kernels/core/score_tile.hpp"
#include "kernels/core/top_k.hpp"
#include "kernels/dense/score_bound.hpp"
#include "kernels/dense/score_topk.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

size_t as_size(int64_t n) { return static_cast<size_t>(n); }

/// The instruction sets that SHEAF_SCAN may name here.
std::vector<const char*> usable_names() {
  const ScanKernel* kernels[kMostScanKernels];
  const int32_t n = usable_scan_kernels(kernels, kMostScanKernels, /*may_be_bytes=*/true);
  std::vector<const char*> names;
  for (int32_t i = 0; i < n; ++i) names.push_back(kernels[i]->name);
  return names;
}

struct Case {
  int64_t n_queries, n_items, dim, k;
  std::vector<float> queries, items, bias;
  test::HostCsr exclude;  // no rows: none
  int64_t cpu_workspace_bytes = dense::ScoreTopkArgs{}.cpu_workspace_bytes;
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
                              .top_scores = scores.matrix(c.n_queries, c.k),
                              .cpu_workspace_bytes = c.cpu_workspace_bytes});
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

/// The lists of the float scores as the header defines them.
Lists brute_force(const Case& c) {
  Lists lists;
  for (int64_t q = 0; q < c.n_queries; ++q) {
    std::vector<std::pair<float, int32_t>> all;
    for (int64_t i = 0; i < c.n_items; ++i) {
      if (c.exclude.n_rows() && std::binary_search(c.exclude.columns.begin() + c.exclude.row_offsets[as_size(q)],
                                                   c.exclude.columns.begin() + c.exclude.row_offsets[as_size(q + 1)],
                                                   static_cast<int32_t>(i))) {
        continue;
      }
      float sum = 0.0f;
      for (int64_t d = 0; d < c.dim; ++d) {
        sum = fused_or_not(c.queries[as_size(q * c.dim + d)], c.items[as_size(i * c.dim + d)], sum);
      }
      all.emplace_back(sum + (c.bias.empty() ? 0.0f : c.bias[as_size(i)]), static_cast<int32_t>(i));
    }
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return ranks_before(a.first, a.second, b.first, b.second); });
    all.resize(as_size(c.k), {-kInfinity, -1});
    for (const auto& [score, id] : all) {
      lists.scores.push_back(score);
      lists.ids.push_back(id);
    }
  }
  return lists;
}

/// Same ids, and the same bits of all scores that are numbers.
void expect_same(const Lists& lists, const Lists& expected, const std::string& what) {
  ASSERT_EQ(lists.ids, expected.ids) << what;
  for (size_t place = 0; place < lists.scores.size(); ++place) {
    const float score = lists.scores[place], right = expected.scores[place];
    ASSERT_TRUE((std::isnan(score) && std::isnan(right)) || std::memcmp(&score, &right, sizeof(score)) == 0)
        << what << ", place " << place << ": " << score << ", not " << right;
  }
}

/// By every instruction set that the machine has, and by the automatic choice. (SHEAF_SCAN is the CPU's.)
void expect_exact(Context& context, const Case& c) {
  if (!context.on_cpu()) return;
  const Lists expected = brute_force(c);
  const std::string shape = std::to_string(c.n_queries) + " queries, " + std::to_string(c.n_items) + " items, dim " +
                            std::to_string(c.dim) + ", k " + std::to_string(c.k);
  expect_same(run(context, c), expected, shape);
  for (const char* name : usable_names()) {
    setenv("SHEAF_SCAN", name, 1);
    expect_same(run(context, c), expected, shape + ", " + name);
  }
  unsetenv("SHEAF_SCAN");
}

/// What is excluded are the best of each query: the first `count` of its list without exclusions.
void exclude_heads(Case& c, int64_t count) {
  Case all = c;
  all.k = count;
  all.exclude = {};
  const Lists heads = brute_force(all);
  c.exclude = {};
  c.exclude.n_columns = c.n_items;
  for (int64_t q = 0; q < c.n_queries; ++q) {
    std::vector<int32_t> ids(heads.ids.begin() + q * count, heads.ids.begin() + (q + 1) * count);
    ids.erase(std::remove(ids.begin(), ids.end(), -1), ids.end());
    std::sort(ids.begin(), ids.end());
    c.exclude.columns.insert(c.exclude.columns.end(), ids.begin(), ids.end());
    c.exclude.row_offsets.push_back(static_cast<int64_t>(c.exclude.columns.size()));
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

TEST_P(ScoreTopkTest, ExactAtTheEdgesOfPanelsAndLists) {
  for (const int64_t n_queries : {1, 7, 8, 9, 47, 48, 49}) {
    expect_exact(context(), random_case(n_queries, 97, 12, 5, true));
  }
  for (const int64_t n_items : {1, 7, 8, 23, 24, 25, 47, 48, 49, 959, 960, 961, 1921}) {
    expect_exact(context(), random_case(17, n_items, 6, 20, n_items % 2 == 1));
  }
  for (const int64_t dim : {1, 2, 3, 4, 5, 31, 64, 65, 130}) {
    expect_exact(context(), random_case(20, 700, dim, 10, dim % 2 == 0));
  }
  for (const int64_t k : {1, 2, 16, 100, 255, 256}) expect_exact(context(), random_case(19, 1500, 16, k, true));
  expect_exact(context(), random_case(401, 300, 9, 256, true));  // several blocks of queries
  expect_exact(context(), random_case(33, 100, 9, 256, true));   // more places than items
}

// Products of 16 bits cannot tell these scores apart.
TEST_P(ScoreTopkTest, NearTiesAreToldApart) {
  Case c = random_case(30, 1200, 20, 25, false);
  const std::vector<float> noise = c.items;
  for (const float size : {1e-2f, 1e-4f, 1e-6f}) {
    for (size_t i = 0; i < c.items.size(); ++i) c.items[i] = 0.3f + static_cast<float>(i % 20) / 7.0f + size * noise[i];
    expect_exact(context(), c);
    c.bias = test::random_floats(1200, 5, 3.0f, 3.0f + size);
    expect_exact(context(), c);
    c.bias.clear();
  }
  c.items.assign(c.items.size(), 0.1f);  // all equal: by id, also beyond a full buffer
  expect_exact(context(), c);
  for (size_t i = 0; i < c.items.size(); ++i) c.items[i] = i / 20 % 3 == 0 ? 0.7f : 0.7000001f;
  expect_exact(context(), c);
}

// So many near ties that floats take over.
TEST_P(ScoreTopkTest, NearTiesOfALargeCall) {
  if (!context().on_cpu()) return;
  Case c = random_case(520, 8300, 4, 12, true);
  for (float& value : c.items) value = 0.3f + 1e-5f * value;
  for (float& bias : c.bias) bias *= 1e-5f;
  expect_same(run(context(), c), brute_force(c), "near ties");
}

TEST_P(ScoreTopkTest, LengthsOfEverySize) {
  Case c = random_case(40, 900, 24, 12, true);
  const Case plain = c;
  // Up to 2^50 rows have a bound; beyond, they are scored one by one.
  for (const float scale : {1e-42f, 1e-38f, 1e-30f, 1e-19f, 1e-6f, 1e6f, 1e14f, 1e16f, 1e18f, 1e30f}) {
    for (size_t i = 0; i < c.items.size(); ++i) c.items[i] = plain.items[i] * scale;
    expect_exact(context(), c);
    c.bias.clear();
    expect_exact(context(), c);
    for (size_t i = 0; i < c.queries.size(); ++i) c.queries[i] = plain.queries[i] * scale;
    expect_exact(context(), c);
    c.bias = plain.bias;
    c.queries = plain.queries;
  }
  c.bias.clear();
  for (const auto& [of_queries, of_items] : {std::pair{1e-19f, 1e-20f}, {1e-22f, 1e-22f}, {1e-30f, 1e-8f}}) {
    // Products below the smallest normal number, which a 16-bit product takes as 0.
    for (size_t i = 0; i < c.items.size(); ++i) c.items[i] = plain.items[i] * of_items;
    for (size_t i = 0; i < c.queries.size(); ++i) c.queries[i] = plain.queries[i] * of_queries;
    expect_exact(context(), c);
  }
  c.bias = plain.bias;
  c.queries = plain.queries;
  for (size_t i = 0; i < c.items.size(); ++i) {  // from 2^-40 to 2^40, each its own
    c.items[i] = std::ldexp(plain.items[i], static_cast<int>(i / 24 * 7 % 81) - 40);
  }
  expect_exact(context(), c);
  for (size_t i = 0; i < c.items.size(); ++i) c.items[i] = i / 24 % 5 == 0 ? plain.items[i] : 0.0f;
  expect_exact(context(), c);
  c.items.assign(c.items.size(), 0.0f);
  expect_exact(context(), c);
  c.queries.assign(c.queries.size(), 0.0f);
  expect_exact(context(), c);
}

TEST_P(ScoreTopkTest, BiasesThatDominate) {
  Case c = random_case(36, 1300, 16, 15, true);
  const Case plain = c;
  for (const float scale : {1e-3f, 10.0f, 1e3f, 1e6f, 1e20f, 1e31f, 1e37f}) {
    for (size_t i = 0; i < c.bias.size(); ++i) c.bias[i] = plain.bias[i] * scale;
    expect_exact(context(), c);
  }
  // Large and nearly equal: the products decide.
  for (size_t i = 0; i < c.bias.size(); ++i) c.bias[i] = 1000.0f + 0.001f * plain.bias[i];
  expect_exact(context(), c);
  for (float& bias : c.bias) bias = -1000.0f;
  expect_exact(context(), c);
}

TEST_P(ScoreTopkTest, HugeNegativeBiasesFillTheRest) {
  Case c = random_case(20, 100, 6, 256, true);
  for (size_t i = 0; i < 100; ++i) c.bias[i] = i % 2 ? -1e37f : -3e38f;
  expect_exact(context(), c);
}

// In 16 bits the better items seem worse than the others by all that the bound allows for.
TEST_P(ScoreTopkTest, RoundingThatFavoursTheWorseItems) {
  constexpr float kRoundsDown = 1.0039f, kRoundsUp = 1.003907f;  // to 1 and 1 + 2^-7
  constexpr size_t kDim = 16, kItems = 400;
  Case c = random_case(20, kItems, kDim, 5, false);
  for (size_t q = 0; q < 20; ++q) {
    for (size_t d = 0; d < kDim; ++d) c.queries[q * kDim + d] = d < kDim / 2 ? kRoundsDown : kRoundsUp;
  }
  for (size_t i = 0; i < kItems; ++i) {
    const bool is_better = i >= 390;
    for (size_t d = 0; d < kDim; ++d) {
      c.items[i * kDim + d] = is_better ? (d < kDim / 2 ? 1.0f : 0.0f) : (d < kDim / 2 ? 0.0f : 255.0f / 256.0f);
    }
  }
  expect_exact(context(), c);
  EXPECT_EQ(run(context(), c).ids[0], 390);
  c.queries.assign(c.queries.size(), 1.0f);
  for (size_t i = 0; i < kItems; ++i) {
    for (size_t d = 0; d < kDim; ++d) {
      const bool is_better = i >= 390;
      c.items[i * kDim + d] = is_better ? kRoundsDown : (d == 0 ? 255.0f / 256.0f : kRoundsUp);
    }
  }
  expect_exact(context(), c);
  EXPECT_EQ(run(context(), c).ids[0], 390);
  c.bias.assign(kItems, 1006.1f);  // 1008 in 16 bits
  for (size_t i = 0; i < kItems; ++i) {
    for (size_t d = 0; d < kDim; ++d) c.items[i * kDim + d] = i >= 390 && d == 0 ? 1.0f : 0.0f;
    if (i >= 390) c.bias[i] = 1005.9f;  // 1004
  }
  expect_exact(context(), c);
  EXPECT_EQ(run(context(), c).ids[0], 390);
}

// The same for bytes: one large value makes the steps of a row, or of a panel, 0.01.
TEST_P(ScoreTopkTest, StepsThatFavourTheWorseItems) {
  constexpr float kRoundsDown = 0.0249f, kRoundsUp = 0.0251f;  // to 0.02 and 0.03
  constexpr size_t kDim = 201, kItems = 400;
  Case c = random_case(20, kItems, kDim, 5, false);
  for (size_t q = 0; q < 20; ++q) {
    for (size_t d = 1; d < kDim; ++d) c.queries[q * kDim + d] = d <= 100 ? kRoundsDown : kRoundsUp;
    c.queries[q * kDim] = 1.27f;
  }
  for (size_t i = 0; i < kItems; ++i) {
    for (size_t d = 1; d < kDim; ++d)
      c.items[i * kDim + d] = i >= 390 ? (d <= 100 ? 1.0f : 0.0f) : (d <= 100 ? 0.0f : 0.98f);
    c.items[i * kDim] = 0.0f;
  }
  expect_exact(context(), c);
  EXPECT_EQ(run(context(), c).ids[0], 390);
  c.queries.assign(c.queries.size(), 1.0f);
  for (size_t q = 0; q < 20; ++q) c.queries[q * kDim] = 0.0f;
  for (size_t i = 0; i < kItems; ++i) {
    for (size_t d = 1; d < kDim; ++d) c.items[i * kDim + d] = i >= 390 ? kRoundsDown : (d < 5 ? 0.0f : kRoundsUp);
    c.items[i * kDim] = 1.27f;
  }
  expect_exact(context(), c);
  EXPECT_EQ(run(context(), c).ids[0], 390);
}

TEST_P(ScoreTopkTest, ExclusionsOfWholeHeads) {
  for (const int64_t count : {1, 30, 300, 999}) {
    Case c = random_case(25, 1000, 10, 20, true);
    exclude_heads(c, count);
    expect_exact(context(), c);
    c.k = 256;
    expect_exact(context(), c);
  }
}

TEST_P(ScoreTopkTest, RowsThatAreNotFinite) {
  Case c = random_case(30, 600, 5, 9, true);
  c.items[100 * 5] = kNan;
  c.items[200 * 5 + 4] = kInfinity;
  c.items[599 * 5 + 1] = -kInfinity;
  c.bias[300] = kNan;
  c.bias[301] = kInfinity;
  c.bias[302] = -kInfinity;
  c.queries[3 * 5] = kNan;
  c.queries[4 * 5 + 2] = kInfinity;
  c.queries[29 * 5] = -kInfinity;
  c.queries[29 * 5 + 1] = 1e30f;
  expect_exact(context(), c);
  c.k = 256;
  expect_exact(context(), c);
  exclude_heads(c, 5);
  expect_exact(context(), c);
  c = random_case(30, 300, 5, 256, false);  // fewer numbers than places
  for (size_t i = 0; i < c.items.size(); ++i) {
    if (i / 5 % 9 == 0) c.items[i] = i % 2 ? kNan : kInfinity;
  }
  expect_exact(context(), c);
  for (size_t i = 0; i < 300; ++i) c.items[i * 5] = kNan;
  expect_exact(context(), c);
  for (size_t q = 0; q < 30; ++q) c.queries[q * 5] = kNan;
  expect_exact(context(), c);
}

// Each item is better than all before it, so that each query takes each of them.
TEST_P(ScoreTopkTest, AscendingScoresFillEveryBuffer) {
  Case c = random_case(20, 2500, 2, 10, true);
  for (size_t i = 0; i < 2500; ++i) c.items[2 * i] = c.items[2 * i + 1] = static_cast<float>(i) / 64.0f;
  for (float& query : c.queries) query = std::fabs(query) + 0.5f;
  expect_exact(context(), c);
}

TEST_P(ScoreTopkTest, PiecesGiveTheListsOfTheWhole) {
  Case c = random_case(50, 5000, 7, 30, true);
  c.items[961 * 7] = kInfinity;
  c.items[2881 * 7] = kNan;
  for (size_t i = 3000; i < 3100; ++i) c.items[i * 7] = kNan;  // too many for a list of their own
  c.cpu_workspace_bytes = 1;
  expect_exact(context(), c);
  c.cpu_workspace_bytes = 50'000;
  expect_exact(context(), c);
}

TEST_P(ScoreTopkTest, SameBitsByAnyThreadsAndFewQueries) {
  if (!context().on_cpu()) return;  // slow on the executor
  for (const int64_t n_queries : {1, 2, 40, 500}) {
    const Case c = random_case(n_queries, 3000, 11, 20, true);
    const Lists first = run(context(), c);
    for (const int threads : {1, 2, 3, 5}) EXPECT_TRUE(run(*make_context(threads), c).same_bits(first)) << threads;
  }
}

TEST_P(ScoreTopkTest, RefusesAnUnknownInstructionSet) {
  setenv("SHEAF_SCAN", "abacus", 1);
  if (context().on_cpu() && kScoresAreFused) {
    EXPECT_THROW(run(context(), random_case(2, 3, 4, 1, false)), UsageError);
  }
  unsetenv("SHEAF_SCAN");
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

/// The extra columns and the rounded vectors, in double: what the 16-bit product would be without rounding.
struct Bounded {
  double upper;
  float width;
};

float to_16_bits(float value) {
  const float rounded = to_float(nearest<BFloat16>(value));
  return std::fabs(rounded) < 0x1.0p-126f ? 0.0f : rounded;
}

float residual_of(const std::vector<float>& row) {
  double squares = 0;
  for (const float value : row) squares += std::pow(static_cast<double>(value) - to_16_bits(value), 2);
  return static_cast<float>(std::sqrt(squares)) * (1.0f + 0x1.0p-20f);
}

float length_of(const std::vector<float>& row) {
  float squares = 0.0f;
  for (const float value : row) squares += value * value;
  return dense::length_bound(squares, static_cast<int64_t>(row.size()));
}

Bounded bounded(const std::vector<float>& query, const std::vector<float>& item, float bias) {
  const auto dim = static_cast<int64_t>(query.size());
  const dense::QueryBound of_query(length_of(query), residual_of(query));
  const dense::ItemBound of_item(length_of(item), residual_of(item), bias, dim);
  float a[dense::kBoundColumns], b[dense::kBoundColumns];
  of_query.write(a);
  of_item.write(b);
  double upper = 0;
  for (size_t d = 0; d < query.size(); ++d) {
    upper += static_cast<double>(to_16_bits(query[d])) * static_cast<double>(to_16_bits(item[d]));
  }
  for (int64_t column = 0; column < dense::kBoundColumns; ++column) {
    EXPECT_EQ(to_16_bits(a[column]), a[column]) << "column " << column << " has more than 16 bits";
    EXPECT_EQ(to_16_bits(b[column]), b[column]) << "column " << column << " has more than 16 bits";
    upper += static_cast<double>(a[column]) * static_cast<double>(b[column]);
  }
  return {upper, dense::bound_width(of_query, of_item)};
}

// The 16-bit product may itself round by half of what sum_rounding() allows.
TEST(ScoreBound, HoldsTheFloatScore) {
  int64_t seed = 0;
  for (const size_t dim : {1u, 2u, 7u, 64u, 1000u}) {
    for (int trial = 0; trial < 400; ++trial, ++seed) {
      const auto n = static_cast<int64_t>(dim);
      std::vector<float> query = test::random_floats(n, static_cast<uint32_t>(3 * seed)),
                         item = test::random_floats(n, static_cast<uint32_t>(3 * seed + 1));
      float bias = test::random_floats(1, static_cast<uint32_t>(3 * seed + 2))[0];
      if (trial % 4 == 1) item = query;  // the largest product of these lengths
      if (trial % 4 == 2) bias *= 1000.0f;
      if (trial % 2 == 1) {  // no residuals: only the sums round
        for (float& value : query) value = to_16_bits(value);
        for (float& value : item) value = to_16_bits(value);
      }
      if (trial % 8 >= 4) {
        for (float& value : item) value = std::fabs(value);
        for (float& value : query) value = std::fabs(value);
      }
      const Bounded bound = bounded(query, item, bias);
      float sum = 0.0f;
      double length = std::fabs(static_cast<double>(bias));
      for (size_t d = 0; d < dim; ++d) sum = std::fma(query[d], item[d], sum);
      length += static_cast<double>(length_of(query)) * static_cast<double>(length_of(item));
      const double score = static_cast<double>(sum + bias);
      const double of_filter = 0.5 * static_cast<double>(dense::sum_rounding(n)) * length;
      ASSERT_GE(bound.upper - of_filter, score) << "dim " << dim << ", trial " << trial;
      ASSERT_LE(bound.upper + of_filter - static_cast<double>(bound.width), score)
          << "dim " << dim << ", trial " << trial;
    }
  }
}

TEST(ScoreBound, RoundsUpTo16Bits) {
  using dense::round_up_bf16;
  EXPECT_EQ(round_up_bf16(1.0f), 1.0f);
  EXPECT_EQ(round_up_bf16(1.0000001f), 1.0078125f);
  EXPECT_EQ(round_up_bf16(-1.0000001f), -1.0f);
  EXPECT_EQ(round_up_bf16(-1.0078125f), -1.0078125f);
  EXPECT_EQ(round_up_bf16(0.0f), 0x1.0p-100f);
  EXPECT_EQ(round_up_bf16(-1e-40f), 0x1.0p-100f);
}

SHEAF_ON_EVERY_BACKEND(ScoreTopkTest);

}  // namespace
}  // namespace sheaf
