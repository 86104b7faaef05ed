#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/embedding/sparse_update.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/embedding.hpp"
#include "tests/reference/optim.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n_rows, dim, max_bag;
  test::HostCsr bags;
  std::vector<int32_t> ids;
  std::vector<float> grad, table, moment1, moment2;
  AdamParams adam;
};

Case random_case(int64_t n_ids, int64_t n_entities, int64_t n_rows, int64_t dim, int64_t max_bag, bool weighted) {
  return {n_rows,
          dim,
          max_bag,
          test::random_csr(n_entities, n_rows, max_bag, 80, weighted),
          test::random_ints(n_ids, 81, 0, static_cast<int32_t>(n_entities) - 1),
          test::random_floats(n_ids * dim, 82),
          test::random_floats(n_rows * dim, 83),
          test::random_floats(n_rows * dim, 84, -0.5f, 0.5f),
          test::random_floats(n_rows * dim, 85, 0.0f, 0.5f),
          {.learning_rate = 0.02f, .weight_decay = 0.05f, .decoupled_decay = 0.1f, .step = 4}};
}

struct State {
  std::vector<float> table, moment1, moment2;
  bool same_bits(const State& other) const {
    return test::same_bits(table, other.table) && test::same_bits(moment1, other.moment1) &&
           test::same_bits(moment2, other.moment2);
  }
};

State before(const Case& c) { return {c.table, c.moment1, c.moment2}; }

State run(Context& context, const Case& c) {
  const Buffer<float> grad(context, c.grad);
  const Buffer<int32_t> ids(context, c.ids);
  const test::DeviceCsr bags(context, c.bags);
  test::Guarded<float> table(context, c.table), moment1(context, c.moment1), moment2(context, c.moment2);
  embedding::sparse_update(context, {.grad = grad.matrix(ids.size(), c.dim),
                                     .bags = bags.view(),
                                     .max_bag = c.max_bag,
                                     .ids = ids.view(),
                                     .adam = c.adam,
                                     .table = table.matrix(c.n_rows, c.dim),
                                     .moment1 = moment1.matrix(c.n_rows, c.dim),
                                     .moment2 = moment2.matrix(c.n_rows, c.dim)});
  table.expect_intact();
  moment1.expect_intact();
  moment2.expect_intact();
  return {table.to_host(), moment1.to_host(), moment2.to_host()};
}

void expect_right(const Case& c, const State& after) {
  const ref::Sums grad = ref::bag_backward(test::to_double(c.grad), c.dim, c.bags, c.ids);
  ASSERT_EQ(after.table.size(), grad.value.size());
  for (size_t i = 0; i < grad.value.size(); ++i) {
    if (grad.n_terms[i] == 0) {
      EXPECT_EQ(after.table[i], c.table[i]) << "a row that no bag touches moved, element " << i;
      EXPECT_EQ(after.moment1[i], c.moment1[i]) << "a row that no bag touches moved, element " << i;
      EXPECT_EQ(after.moment2[i], c.moment2[i]) << "a row that no bag touches moved, element " << i;
      continue;
    }
    const ref::AdamElement start{c.table[i], c.moment1[i], c.moment2[i]};
    const ref::AdamElement expected = ref::adam(grad.value[i], c.adam, start);
    // The gradient is a float sum of n_terms products; the step then rounds once an operation.
    const ref::AdamElement bound = ref::adam_bound(grad.value[i], grad.bound(i), c.adam, start);
    EXPECT_NEAR(after.moment1[i], expected.moment1, bound.moment1) << "element " << i;
    EXPECT_NEAR(after.moment2[i], expected.moment2, bound.moment2) << "element " << i;
    EXPECT_NEAR(after.table[i], expected.parameter, bound.parameter) << "element " << i;
  }
}

class SparseUpdateTest : public test::OpTest {};

TEST_P(SparseUpdateTest, AgreesWithOracle) {
  for (const bool weighted : {false, true}) {
    for (const int64_t n_ids : {0, 1, 31, 33, 255, 257, 700}) {
      const Case c = random_case(n_ids, 120, 400, 10, 4, weighted);
      expect_right(c, run(context(), c));
    }
    for (const int64_t dim : {0, 1, 31, 33, 100}) {
      const Case c = random_case(50, 30, 40, dim, 3, weighted);
      expect_right(c, run(context(), c));
    }
    for (const int64_t n_rows : {1, 2, 255, 256, 257}) {  // around the widths of the sort's key
      const Case c = random_case(60, 40, n_rows, 5, 9, weighted);
      expect_right(c, run(context(), c));
    }
  }
}

TEST_P(SparseUpdateTest, OneRowTakesEveryGradient) {
  Case c = random_case(3000, 1, 5, 3, 1, false);
  c.bags.row_offsets = {0, 1};
  c.bags.columns = {4};
  expect_right(c, run(context(), c));
}

TEST_P(SparseUpdateTest, LastAndFirstRow) {
  Case c = random_case(4, 1, 256, 2, 2, false);
  c.bags.row_offsets = {0, 2};
  c.bags.columns = {0, 255};
  c.ids = {0, 0, 0, 0};
  expect_right(c, run(context(), c));
}

TEST_P(SparseUpdateTest, EmptyBagsTouchNothing) {
  Case c = random_case(70, 2, 9, 6, 2, true);
  c.bags.row_offsets = {0, 0, 0};
  c.bags.columns.clear();
  c.bags.values.clear();
  EXPECT_TRUE(run(context(), c).same_bits(before(c)));
}

TEST_P(SparseUpdateTest, SlackInMaxBagChangesNothing) {
  Case c = random_case(90, 40, 33, 7, 3, true);
  const State tight = run(context(), c);
  c.max_bag = 11;
  EXPECT_TRUE(run(context(), c).same_bits(tight));
}

TEST_P(SparseUpdateTest, GradientsAddInOccurrenceOrder) {
  // 2^30 swallows a 1 that is added before it is taken away again, and keeps one that comes after.
  Case c = random_case(3, 1, 1, 1, 1, false);
  c.bags.row_offsets = {0, 1};
  c.bags.columns = {0};
  c.ids = {0, 0, 0};
  c.moment1 = {0.0f};
  c.adam = {.beta1 = 0.0f};  // m becomes g itself
  c.grad = {0x1.0p30f, 1.0f, -0x1.0p30f};
  EXPECT_EQ(run(context(), c).moment1[0], 0.0f);
  c.grad = {0x1.0p30f, -0x1.0p30f, 1.0f};
  EXPECT_EQ(run(context(), c).moment1[0], 1.0f);
}

TEST_P(SparseUpdateTest, GradientAgreesWithFiniteDifferences) {
  Case c = random_case(40, 15, 12, 5, 4, true);
  c.adam = {.beta1 = 0.0f};  // m becomes g itself
  const State after = run(context(), c);
  const ref::Sums terms = ref::bag_backward(test::to_double(c.grad), c.dim, c.bags, c.ids);
  const auto forward = [&](const std::vector<double>& table) {
    const ref::Sums out = ref::bag(table, c.dim, c.bags, c.ids);
    return std::inner_product(out.value.begin(), out.value.end(), c.grad.begin(), 0.0);
  };
  for (size_t i = 0; i < c.table.size(); ++i) {
    if (terms.n_terms[i] == 0) continue;
    // The forward is linear, so the difference errs only by double's rounding of a sum below 1000, over 2h: below 1e-9.
    EXPECT_NEAR(after.moment1[i], test::central_difference(forward, test::to_double(c.table), i, 0x1.0p-10),
                terms.bound(i) + 1e-9)
        << "element " << i;
  }
}

TEST_P(SparseUpdateTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(6000, 3000, 4000, 100, 6, true);
  const State first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(run(*make_context(threads), c).same_bits(first)) << threads;
}

TEST_P(SparseUpdateTest, RefusesWrongArguments) {
  const Case good = random_case(4, 6, 5, 3, 2, true);
  EXPECT_NO_THROW(run(context(), good));
  Case bad = good;
  bad.adam.step = 0;
  EXPECT_THROW(run(context(), bad), UsageError);
  bad = good;
  bad.max_bag = 0;
  EXPECT_THROW(run(context(), bad), UsageError);
  bad = good;
  bad.max_bag = int64_t{1} << 30;
  EXPECT_THROW(run(context(), bad), UsageError);
  bad = good;
  bad.bags.n_columns = 6;
  EXPECT_THROW(run(context(), bad), UsageError);

  Buffer<float> grad(context(), good.grad), table(context(), good.table), moment(context(), 30);
  const Buffer<int32_t> ids(context(), good.ids);
  const test::DeviceCsr bags(context(), good.bags);
  const embedding::SparseUpdateArgs fits{
      grad.matrix(4, 3),     bags.view(),          2, ids.view(), {}, table.matrix(5, 3),
      {moment.data(), 5, 3}, {moment.data(), 5, 3}};
  embedding::SparseUpdateArgs wrong = fits;
  wrong.grad.rows = 3;
  EXPECT_THROW(embedding::sparse_update(context(), wrong), UsageError);
  wrong = fits;
  wrong.grad.cols = 2;
  EXPECT_THROW(embedding::sparse_update(context(), wrong), UsageError);
  wrong = fits;
  wrong.moment1.rows = 6;
  EXPECT_THROW(embedding::sparse_update(context(), wrong), UsageError);
  wrong = fits;
  wrong.moment2.cols = 4;
  EXPECT_THROW(embedding::sparse_update(context(), wrong), UsageError);
}

SHEAF_ON_EVERY_BACKEND(SparseUpdateTest);

}  // namespace
}  // namespace sheaf
