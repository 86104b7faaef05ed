#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "kernels/association/cosine_topk.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/product_scan.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf {
namespace {

using association::CategoryRule;
using association::CosineTopkArgs;

struct Case {
  int64_t n_items, dim, k;
  float scale, min_score;
  std::vector<float> vectors;
  int64_t n_queries = -1;  // -1: the items themselves
  std::vector<float> queries = {};
  int64_t first_item = 0, first_query = -1;
  CategoryRule rule = CategoryRule::any;
  std::vector<int32_t> item_categories = {}, query_categories = {};
  std::vector<uint8_t> category_pairs = {};  // [n_categories, n_categories]
  int64_t n_categories = 0;
  std::vector<std::vector<int32_t>> exclude = {};  // ascending ids, of each query
  int64_t cpu_workspace_bytes = CosineTopkArgs{}.cpu_workspace_bytes;

  int64_t n_rows() const { return n_queries < 0 ? n_items : n_queries; }
};

struct Lists {
  std::vector<int32_t> ids;
  std::vector<float> scores;
  bool operator==(const Lists&) const = default;
};

/// The items in pieces that begin at the given ones.
Lists run_pieces(Context& context, const Case& c, const std::vector<int64_t>& begins, int64_t* n_rescored = nullptr) {
  const Buffer<float> vectors(context, c.vectors), queries(context, c.queries);
  const Buffer<int32_t> item_categories(context, c.item_categories);
  const Buffer<int32_t> query_categories(context, c.n_queries < 0 ? c.item_categories : c.query_categories);
  const Buffer<uint8_t> category_pairs(context, c.category_pairs);
  test::HostCsr exclude;
  exclude.n_columns = c.first_item + c.n_items;
  exclude.row_offsets = {0};
  for (const auto& ids : c.exclude) {
    exclude.columns.insert(exclude.columns.end(), ids.begin(), ids.end());
    exclude.row_offsets.push_back(static_cast<int64_t>(exclude.columns.size()));
  }
  const test::DeviceCsr excluded(context, exclude);
  test::Guarded<int32_t> ids(context, c.n_rows() * c.k);
  test::Guarded<float> scores(context, c.n_rows() * c.k);
  Buffer<int64_t> rescored(context, 1);
  int64_t total = 0;
  for (size_t piece = 0; piece < begins.size(); ++piece) {
    const int64_t begin = begins[piece], end = piece + 1 < begins.size() ? begins[piece + 1] : c.n_items;
    CosineTopkArgs args{.vectors = {vectors.data() + begin * c.dim, end - begin, c.dim},
                        .scale = c.scale,
                        .min_score = c.min_score,
                        .neighbours = ids.matrix(c.n_rows(), c.k),
                        .scores = scores.matrix(c.n_rows(), c.k)};
    args.first_item = c.first_item + begin;
    args.first_query = c.first_query;
    if (c.n_queries >= 0) args.queries = queries.matrix(c.n_queries, c.dim);
    if (c.n_queries < 0 && begins.size() > 1) {
      args.queries = vectors.matrix(c.n_items, c.dim);
      args.first_query = c.first_item;
    }
    args.rule = c.rule;
    if (c.rule != CategoryRule::any) {
      args.item_categories = {item_categories.data() + begin, end - begin};
      args.query_categories = query_categories.view();
      args.category_pairs = category_pairs.matrix(c.n_categories, c.n_categories);
    }
    if (!c.exclude.empty()) args.exclude = excluded.view();
    args.merge = piece > 0;
    args.cpu_workspace_bytes = c.cpu_workspace_bytes;
    args.n_rescored = rescored.view();
    association::cosine_topk(context, args);
    total += rescored.to_host()[0];
  }
  ids.expect_intact();
  scores.expect_intact();
  if (n_rescored) *n_rescored = total;
  return {ids.to_host(), scores.to_host()};
}

Lists run(Context& context, const Case& c, int64_t* n_rescored = nullptr) {
  return run_pieces(context, c, {0}, n_rescored);
}

bool categories_meet(const Case& c, int64_t row, int64_t item) {
  if (c.rule == CategoryRule::any) return true;
  const int32_t a = (c.n_queries < 0 ? c.item_categories : c.query_categories)[static_cast<size_t>(row)];
  const int32_t b = c.item_categories[static_cast<size_t>(item)];
  if (a < 0 || b < 0) return false;
  if (c.rule == CategoryRule::same) return a == b;
  if (c.rule == CategoryRule::different) return a != b;
  return a < c.n_categories && b < c.n_categories && c.category_pairs[static_cast<size_t>(a * c.n_categories + b)] != 0;
}

bool allowed(const Case& c, int64_t row, int64_t item) {
  const int64_t first_query = c.n_queries < 0 && c.first_query < 0 ? c.first_item : c.first_query;
  if (first_query >= 0 && first_query + row == c.first_item + item) return false;
  if (!c.exclude.empty()) {
    const auto& ids = c.exclude[static_cast<size_t>(row)];
    if (std::count(ids.begin(), ids.end(), c.first_item + item) > 0) return false;
  }
  return categories_meet(c, row, item);
}

// Both unit vectors are rounded (1 + u each, u = 2^-24), then dim products of total size at most 1 are summed, then
// scaled.
void expect_right(const Case& c, const Lists& lists) {
  const double scale = c.scale, bound = scale * ref::sum_bound(c.dim + 6, 1.0);
  const std::vector<float>& queries = c.n_queries < 0 ? c.vectors : c.queries;
  for (int64_t i = 0; i < c.n_rows(); ++i) {
    std::vector<ref::Candidate> candidates(static_cast<size_t>(c.first_item + c.n_items), {0.0, 0.0, false, false});
    for (int64_t j = 0; j < c.n_items; ++j) {
      const double cosine = ref::cosine(queries.data() + i * c.dim, c.vectors.data() + j * c.dim, c.dim);
      if (std::isnan(cosine) || !allowed(c, i, j)) continue;
      const double low = std::max(static_cast<double>(c.min_score), 0.0);
      candidates[static_cast<size_t>(c.first_item + j)] = {std::max(0.0, cosine) * scale, bound,
                                                           cosine * scale >= low - bound, cosine * scale > low + bound};
    }
    EXPECT_EQ(ref::top_k_fault(candidates, lists.ids.data() + i * c.k, lists.scores.data() + i * c.k, c.k, 0.0f), "")
        << "row " << i << " of " << c.n_rows() << ", " << c.n_items << " items, dim " << c.dim << ", k " << c.k;
  }
}

class CosineTopkTest : public test::OpTest {};

TEST_P(CosineTopkTest, AgreesWithOracle) {
  for (const int64_t n_items : {0, 1, 2, 15, 16, 17, 31, 33, 47, 48, 49, 127, 128, 129, 255, 256, 257}) {
    for (const int64_t k : {1, 10, 256}) {
      if (n_items > 129 && k != 10) continue;
      const Case c{n_items, 13, k, 1.0f / 13.0f, 0.0f, test::random_floats(n_items * 13, 5)};
      expect_right(c, run(context(), c));
    }
  }
  for (const int64_t dim : {1, 2, 31, 32, 33, 65, 130}) {
    const Case c{60, dim, 5, 1.0f, 0.2f, test::random_floats(60 * dim, 6)};
    expect_right(c, run(context(), c));
  }
}

// A device keeps the rows of vectors up to some hundred dimensions in shared memory and streams wider ones.
TEST_P(CosineTopkTest, WideVectors) {
  const Case c{40, 900, 3, 1.0f, 0.0f, test::random_floats(40 * 900, 12)};
  expect_right(c, run(context(), c));
}

// Several tiles of the device and blocks of the CPU, lists that overflow their pending candidates, and more rows than
// run at a time.
TEST_P(CosineTopkTest, ManyTilesAndOverflowingLists) {
  Case c{1100, 4, 7, 1.0f, 0.0f, test::random_floats(1100 * 4, 13)};
  expect_right(c, run(context(), c));
  // Item by item nearer to the last one: every list takes nearly every item in turn.
  c = {700, 2, 3, 1.0f, 0.0f, {}};
  for (int i = 0; i < 700; ++i) {
    const double angle = 1.5 - 0.002 * i;
    c.vectors.push_back(static_cast<float>(std::cos(angle)));
    c.vectors.push_back(static_cast<float>(std::sin(angle)));
  }
  expect_right(c, run(context(), c));
}

TEST_P(CosineTopkTest, QueriesAgainstItems) {
  for (const int64_t n_queries : {0, 1, 50, 260}) {
    Case c{90, 20, 6, 2.0f, 0.1f, test::random_floats(90 * 20, 14), n_queries, test::random_floats(n_queries * 20, 15)};
    expect_right(c, run(context(), c));
    c.first_item = 1000;
    c.first_query = 1010;  // query 0 is item 10
    expect_right(c, run(context(), c));
  }
}

TEST_P(CosineTopkTest, QueriesThatAreTheItemsAreNotTheirOwnNeighbours) {
  Case c{30, 8, 4, 1.0f, 0.0f, test::random_floats(30 * 8, 16)};
  const Lists own = run(context(), c);
  c.n_queries = 30;
  c.queries = c.vectors;
  c.first_query = 0;
  EXPECT_EQ(run(context(), c), own);
  c.first_query = -1;
  const Lists strangers = run(context(), c);
  for (int64_t i = 0; i < 30; ++i) EXPECT_EQ(strangers.ids[static_cast<size_t>(i * 4)], i);
}

TEST_P(CosineTopkTest, CategoryRules) {
  Case c{150, 9, 5, 1.0f, 0.0f, test::random_floats(150 * 9, 17)};
  c.item_categories = test::random_ints(150, 18, -1, 5);
  c.n_categories = 5;  // category 5 is not in the table
  for (const int32_t bit : test::random_ints(25, 19, 0, 1)) c.category_pairs.push_back(static_cast<uint8_t>(bit));
  for (const CategoryRule rule : {CategoryRule::same, CategoryRule::different, CategoryRule::table}) {
    c.rule = rule;
    expect_right(c, run(context(), c));
  }
  c.n_queries = 40;
  c.queries = test::random_floats(40 * 9, 20);
  c.query_categories = test::random_ints(40, 21, -1, 5);
  for (const CategoryRule rule : {CategoryRule::same, CategoryRule::different, CategoryRule::table}) {
    c.rule = rule;
    expect_right(c, run(context(), c));
  }
}

TEST_P(CosineTopkTest, ExcludedItemsAreNotListed) {
  Case c{80, 6, 10, 1.0f, 0.0f, test::random_floats(80 * 6, 22)};
  const Lists all = run(context(), c);
  c.exclude.resize(80);
  for (size_t i = 0; i < 80; ++i) {  // its first neighbours, which others may list
    if (i % 3 == 0) continue;
    c.exclude[i].assign(all.ids.begin() + static_cast<int64_t>(i) * 10,
                        all.ids.begin() + static_cast<int64_t>(i) * 10 + 4);
    std::sort(c.exclude[i].begin(), c.exclude[i].end());
  }
  expect_right(c, run(context(), c));
  c.first_item = 500;
  for (auto& ids : c.exclude) {
    for (int32_t& id : ids) id += 500;
  }
  expect_right(c, run(context(), c));
}

TEST_P(CosineTopkTest, PiecesGiveTheListsOfTheWhole) {
  Case c{300, 7, 12, 1.0f, 0.1f, test::random_floats(300 * 7, 23)};
  c.vectors[40 * 7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(run_pieces(context(), c, {0, 100, 101, 260}), run(context(), c));
  c.n_queries = 35;
  c.queries = test::random_floats(35 * 7, 24);
  c.item_categories = test::random_ints(300, 25, 0, 3);
  c.query_categories = test::random_ints(35, 26, 0, 3);
  c.rule = CategoryRule::different;
  EXPECT_EQ(run_pieces(context(), c, {0, 128, 129}), run(context(), c));
}

// 16-bit products cannot tell the order of these vectors: they are nearly parallel, and some are equal. Nearly every
// pair is a candidate, so lists fill up between tiles.
TEST_P(CosineTopkTest, ChunksGiveTheListsOfTheWhole) {
  Case c{700, 9, 24, 1.0f, 0.1f, test::random_floats(700 * 9, 45)};
  const Lists whole = run(context(), c);
  expect_right(c, whole);
  for (int64_t bytes : {1, 100'000, 250'000}) {
    c.cpu_workspace_bytes = bytes;
    EXPECT_EQ(run(context(), c), whole) << bytes;
  }
  c.n_queries = 300;
  c.queries = test::random_floats(300 * 9, 46);
  c.cpu_workspace_bytes = CosineTopkArgs{}.cpu_workspace_bytes;
  const Lists of_queries = run(context(), c);
  c.cpu_workspace_bytes = 50'000;
  EXPECT_EQ(run(context(), c), of_queries);
}

TEST_P(CosineTopkTest, NearTiesAreToldApart) {
  Case c{450, 24, 9, 1.0f, 0.0f, {}};
  const std::vector<float> base = test::random_floats(24, 27), noise = test::random_floats(450 * 24, 28);
  for (size_t i = 0; i < 450; ++i) {
    for (size_t d = 0; d < 24; ++d) {
      c.vectors.push_back(i % 10 == 9 ? c.vectors[c.vectors.size() - 24] : base[d] + 0.01f * noise[i * 24 + d]);
    }
  }
  int64_t n_rescored = 0;
  const Lists lists = run(context(), c, &n_rescored);
  expect_right(c, lists);
  EXPECT_LE(n_rescored, 450 * 449);
  for (size_t i = 0; i < 450; ++i) {
    const auto begin = lists.ids.begin() + static_cast<int64_t>(i) * 9;
    EXPECT_EQ(std::set<int32_t>(begin, begin + 9).size(), 9u) << i;
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
  Case c{600, 20, 16, 0.25f, 0.01f, test::random_floats(600 * 20, 10)};
  const Lists first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_EQ(run(*make_context(threads), c), first) << threads;
  c.n_queries = 100;
  c.queries = test::random_floats(100 * 20, 29);
  const Lists of_queries = run(context(), c);
  for (const int threads : {1, 3}) EXPECT_EQ(run(*make_context(threads), c), of_queries) << threads;
}

// By another instruction set, or filtered in bf16 first. (SHEAF_SCAN is the CPU's: elsewhere it changes nothing.)
TEST_P(CosineTopkTest, SameBitsByEveryInstructionSet) {
  Case c{400, 37, 16, 0.5f, 0.0f, test::random_floats(400 * 37, 30)};
  c.exclude.resize(400);
  c.exclude[5] = {3, 7, 200};
  const Lists first = run(context(), c);
  expect_right(c, first);
  const ScanKernel* kernels[kMostScanKernels];
  const int32_t n = usable_scan_kernels(kernels, kMostScanKernels);
  for (int32_t i = 0; i < n; ++i) {
    setenv("SHEAF_SCAN", kernels[i]->name, 1);
    EXPECT_EQ(run(context(), c), first) << kernels[i]->name;
  }
  setenv("SHEAF_SCAN", "abacus", 1);
  if (context().on_cpu()) {
    EXPECT_THROW(run(context(), c), UsageError);
  }
  unsetenv("SHEAF_SCAN");
}

TEST_P(CosineTopkTest, RefusesWrongArguments) {
  const auto refuses = [&](auto change) {
    Case c{3, 2, 2, 1.0f, 0.0f, test::random_floats(6, 11)};
    change(c);
    EXPECT_THROW(run(context(), c), UsageError);
  };
  refuses([](Case& c) { c.scale = 0.0f; });
  refuses([](Case& c) { c.k = 300; });
  refuses([](Case& c) { c.min_score = std::numeric_limits<float>::quiet_NaN(); });
  refuses([](Case& c) {
    c.rule = CategoryRule::same;
    c.item_categories = {};
    c.n_queries = 1;
    c.queries = {1, 2};
  });
  refuses([](Case& c) { c.exclude.resize(2); });
  refuses([](Case& c) { c.first_item = std::numeric_limits<int32_t>::max(); });
}

SHEAF_ON_EVERY_BACKEND(CosineTopkTest);

}  // namespace
}  // namespace sheaf
