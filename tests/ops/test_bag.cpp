#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/embedding/bag.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/embedding.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n_rows, dim;
  std::vector<float> table;
  test::HostCsr bags;
  std::vector<int32_t> ids;
};

// Bags of 0 to max_bag rows; ids name an entity several times as soon as there are more ids than entities.
Case random_case(int64_t n_ids, int64_t n_entities, int64_t n_rows, int64_t dim, int64_t max_bag, bool weighted) {
  return {n_rows, dim, test::random_floats(n_rows * dim, 70),
          test::random_csr(n_entities, n_rows, max_bag, 71, weighted),
          test::random_ints(n_ids, 72, 0, static_cast<int32_t>(n_entities) - 1)};
}

std::vector<float> run(Context& context, const Case& c) {
  const Buffer<float> table(context, c.table);
  const Buffer<int32_t> ids(context, c.ids);
  const test::DeviceCsr bags(context, c.bags);
  test::Guarded<float> out(context, ids.size() * c.dim);
  embedding::bag(context, {.table = table.matrix(c.n_rows, c.dim),
                           .bags = bags.view(),
                           .ids = ids.view(),
                           .out = out.matrix(ids.size(), c.dim)});
  out.expect_intact();
  EXPECT_TRUE(test::same_bits(table.to_host(), c.table)) << "the table changed";
  return out.to_host();
}

void expect_right(const Case& c, const std::vector<float>& out) {
  const ref::Sums expected = ref::bag(test::to_double(c.table), c.dim, c.bags, c.ids);
  ASSERT_EQ(out.size(), expected.value.size());
  for (size_t i = 0; i < out.size(); ++i) {
    // A float sum of as many products as the bag has rows; an empty bag is exactly zero.
    EXPECT_NEAR(out[i], expected.value[i], expected.bound(i)) << "element " << i << ", dim " << c.dim;
  }
}

class BagTest : public test::OpTest {};

TEST_P(BagTest, AgreesWithOracle) {
  for (const bool weighted : {false, true}) {
    for (const int64_t n_ids : {0, 1, 7, 8, 9, 31, 33, 255, 256, 257, 600}) {
      const Case c = random_case(n_ids, 90, 50, 12, 6, weighted);
      expect_right(c, run(context(), c));
    }
    for (const int64_t dim : {0, 1, 3, 31, 32, 33, 64, 100, 257}) {
      const Case c = random_case(40, 25, 30, dim, 5, weighted);
      expect_right(c, run(context(), c));
    }
    for (const int64_t n_rows : {1, 2, 300}) {
      const Case c = random_case(35, 20, n_rows, 9, 200, weighted);
      expect_right(c, run(context(), c));
    }
  }
}

TEST_P(BagTest, OneRowOfWeightOneIsALookup) {
  Case c = random_case(100, 1, 40, 33, 1, false);
  c.bags = {};
  c.bags.n_columns = 40;
  for (int32_t entity = 0; entity < 40; ++entity) {
    c.bags.columns.push_back(39 - entity);
    c.bags.row_offsets.push_back(entity + 1);
  }
  c.ids = test::random_ints(100, 73, 0, 39);
  const std::vector<float> out = run(context(), c);
  for (size_t n = 0; n < 100; ++n) {
    for (size_t d = 0; d < 33; ++d) EXPECT_EQ(out[n * 33 + d], c.table[(39 - static_cast<size_t>(c.ids[n])) * 33 + d]);
  }
}

TEST_P(BagTest, EmptyBagsGiveZeros) {
  Case c = random_case(65, 3, 10, 17, 4, true);
  c.bags.row_offsets = {0, 0, 0, 0};
  c.bags.columns.clear();
  c.bags.values.clear();
  for (const float value : run(context(), c)) EXPECT_EQ(value, 0.0f);
}

TEST_P(BagTest, FirstAndLastEntityAndRow) {
  Case c = random_case(1, 1, 5, 2, 1, false);
  c.bags.row_offsets = {0, 2, 2, 3};
  c.bags.columns = {0, 4, 4};
  c.ids = {2, 0, 1, 0, 2};
  c.table = {1, 2, 3, 4, 5, 6, 7, 8, 16, 32};
  EXPECT_EQ(run(context(), c), (std::vector<float>{16, 32, 17, 34, 0, 0, 17, 34, 16, 32}));
}

TEST_P(BagTest, NanStaysInItsColumn) {
  Case c = random_case(4, 1, 3, 3, 1, false);
  c.bags.row_offsets = {0, 3};
  c.bags.columns = {0, 1, 2};
  c.ids = {0, 0, 0, 0};
  c.table = {1, 2, 3, 4, std::numeric_limits<float>::quiet_NaN(), 6, 7, 8, std::numeric_limits<float>::infinity()};
  const std::vector<float> out = run(context(), c);
  for (size_t n = 0; n < 4; ++n) {
    EXPECT_EQ(out[n * 3], 12.0f);
    EXPECT_TRUE(std::isnan(out[n * 3 + 1]));
    EXPECT_EQ(out[n * 3 + 2], std::numeric_limits<float>::infinity());
  }
}

TEST_P(BagTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(2001, 300, 200, 24, 40, true);
  const std::vector<float> first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(test::same_bits(run(*make_context(threads), c), first)) << threads;
}

TEST_P(BagTest, RefusesWrongArguments) {
  const Case c = random_case(4, 6, 5, 3, 2, true);
  const Buffer<float> table(context(), c.table);
  const Buffer<int32_t> ids(context(), c.ids);
  const test::DeviceCsr bags(context(), c.bags);
  Buffer<float> out(context(), 20);
  const embedding::BagArgs good{table.matrix(5, 3), bags.view(), ids.view(), {out.data(), 4, 3}};
  EXPECT_NO_THROW(embedding::bag(context(), good));
  embedding::BagArgs bad = good;
  bad.out.rows = 5;
  EXPECT_THROW(embedding::bag(context(), bad), UsageError);
  bad = good;
  bad.out.cols = 4;
  EXPECT_THROW(embedding::bag(context(), bad), UsageError);
  bad = good;
  bad.bags.n_columns = 6;
  EXPECT_THROW(embedding::bag(context(), bad), UsageError);
  bad = good;
  bad.table.data = nullptr;
  EXPECT_THROW(embedding::bag(context(), bad), UsageError);
}

SHEAF_ON_EVERY_BACKEND(BagTest);

}  // namespace
}  // namespace sheaf
