#include <cmath>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/sparse/spmm.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf {
namespace {

struct Case {
  test::HostCsr graph;
  int64_t dim = 0;
  std::vector<float> row_scale, column_scale, in, mean;
  int64_t n_in_mean = 1;
};

struct Result {
  std::vector<float> out, mean;
};

Result run(Context& context, const Case& c) {
  const test::DeviceCsr graph(context, c.graph);
  test::Guarded<float> row_scale(context, c.row_scale), column_scale(context, c.column_scale), in(context, c.in),
      out(context, c.graph.n_rows() * c.dim), mean(context, c.mean);
  sparse::spmm(context, {.graph = graph.view(),
                         .row_scale = row_scale.view(),
                         .column_scale = column_scale.view(),
                         .in = in.matrix(c.graph.n_columns, c.dim),
                         .out = out.matrix(c.graph.n_rows(), c.dim),
                         .mean = mean.matrix(c.mean.empty() ? 0 : c.graph.n_rows(), c.dim),
                         .n_in_mean = c.n_in_mean});
  out.expect_intact();
  mean.expect_intact();
  return {out.to_host(), mean.to_host()};
}

/// A row at a time in double precision; the bound follows from the number of products and the sum of their sizes.
void expect_defined(const Case& c, const Result& result) {
  for (int64_t r = 0; r < c.graph.n_rows(); ++r) {
    const int64_t begin = c.graph.row_offsets[static_cast<size_t>(r)];
    const int64_t end = c.graph.row_offsets[static_cast<size_t>(r) + 1];
    const double scale = c.row_scale.empty() ? 1.0 : static_cast<double>(c.row_scale[static_cast<size_t>(r)]);
    for (int64_t x = 0; x < c.dim; ++x) {
      double sum = 0, size = 0;
      for (int64_t e = begin; e < end; ++e) {
        const auto column = static_cast<size_t>(c.graph.columns[static_cast<size_t>(e)]);
        double term = static_cast<double>(c.in[column * static_cast<size_t>(c.dim) + static_cast<size_t>(x)]);
        if (!c.graph.values.empty()) term *= static_cast<double>(c.graph.values[static_cast<size_t>(e)]);
        if (!c.column_scale.empty()) term *= static_cast<double>(c.column_scale[column]);
        sum += term;
        size += std::abs(term);
      }
      const auto at = static_cast<size_t>(r * c.dim + x);
      // Two roundings a product, one an addition, one for the scale of the row.
      const double bound = 1.01 * static_cast<double>(end - begin + 4) * test::kRound * size * std::abs(scale) + 1e-37;
      ASSERT_NEAR(static_cast<double>(result.out[at]), sum * scale, bound) << "row " << r << ", column " << x;
      if (c.mean.empty()) continue;
      const auto before = static_cast<double>(c.mean[at]), n = static_cast<double>(c.n_in_mean);
      const double expected = (before * n + sum * scale) / (n + 1);
      const double room = bound + 1.01 * 5 * test::kRound * (std::abs(before) + size * std::abs(scale));
      ASSERT_NEAR(static_cast<double>(result.mean[at]), expected, room) << "mean, row " << r << ", column " << x;
    }
  }
}

Case make_case(int64_t n_rows, int64_t n_columns, int64_t per_row, int64_t dim, bool weighted) {
  Case c;
  c.graph = test::random_csr(n_rows, n_columns, per_row, 5, weighted);
  c.dim = dim;
  c.row_scale = test::random_floats(n_rows, 6, 0.1f, 1.0f);
  c.column_scale = test::random_floats(n_columns, 7, 0.1f, 1.0f);
  c.in = test::random_floats(n_columns * dim, 8);
  c.mean = test::random_floats(n_rows * dim, 9);
  c.n_in_mean = 2;
  return c;
}

class SpmmTest : public test::OpTest {};

TEST_P(SpmmTest, AgreesWithDoubles) {
  for (const int64_t dim : {1, 31, 64, 65, 130}) {
    for (const int64_t n_rows : {1, 8, 33}) {
      const Case c = make_case(n_rows, 40, 20, dim, dim % 2 == 0);
      expect_defined(c, run(context(), c));
    }
  }
}

TEST_P(SpmmTest, ScalesAndMeanMayBeLeftOut) {
  Case c = make_case(19, 40, 20, 33, true);
  c.row_scale.clear();
  expect_defined(c, run(context(), c));
  c.column_scale.clear();
  c.mean.clear();
  expect_defined(c, run(context(), c));
}

TEST_P(SpmmTest, LongRowsBesideShortAndEmptyOnes) {
  for (const int64_t length : {255, 256, 257, 1001}) {
    Case c = make_case(11, 1100, 0, 35, false);
    c.graph.row_offsets.assign(12, 0);
    c.graph.columns.clear();
    for (const int64_t row : {2, 9}) {
      for (int64_t j = 0; j < length; ++j) c.graph.columns.push_back(static_cast<int32_t>(j));
      for (size_t r = static_cast<size_t>(row) + 1; r < 12; ++r) c.graph.row_offsets[r] += length;
    }
    expect_defined(c, run(context(), c));
  }
}

TEST_P(SpmmTest, TheSameBitsOnAnyThreadsAndRuns) {
  const Case c = make_case(300, 90, 60, 64, true);
  const Result first = run(context(), c);
  for (const int n_threads : {1, 2, 5}) {
    const Result again = run(*make_context(n_threads), c);
    EXPECT_EQ(again.out, first.out);
    EXPECT_EQ(again.mean, first.mean);
  }
}

TEST_P(SpmmTest, NothingToDo) {
  Case none;
  none.dim = 8;
  EXPECT_TRUE(run(context(), none).out.empty());
  none.graph.row_offsets = {0, 0, 0};  // two rows of a graph without columns
  EXPECT_EQ(run(context(), none).out, std::vector<float>(16, 0.0f));
}

TEST_P(SpmmTest, NaNStaysWithTheRowsThatNameIt) {
  Case c;
  c.graph.row_offsets = {0, 2, 3};
  c.graph.columns = {0, 1, 1};
  c.graph.n_columns = 2;
  c.dim = 1;
  c.in = {std::numeric_limits<float>::quiet_NaN(), 2.0f};
  const Result result = run(context(), c);
  EXPECT_TRUE(std::isnan(result.out[0]));
  EXPECT_EQ(result.out[1], 2.0f);
}

TEST_P(SpmmTest, ShapesMustFit) {
  const Case good = make_case(5, 6, 3, 4, false);
  Case c = good;
  c.row_scale.pop_back();
  EXPECT_THROW(run(context(), c), UsageError);
  c = good;
  c.column_scale.pop_back();
  EXPECT_THROW(run(context(), c), UsageError);
  c = good;
  c.n_in_mean = -1;
  EXPECT_THROW(run(context(), c), UsageError);
}

SHEAF_ON_EVERY_BACKEND(SpmmTest);

}  // namespace
}  // namespace sheaf
