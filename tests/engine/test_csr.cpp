#include "engine/data/csr.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

using test::engine_csr;
using test::random_csr;

using Entries = std::map<std::pair<int64_t, int32_t>, double>;

/// (row, column) -> value, 1 for a pattern. Fails where the columns of a row do not ascend.
Entries entries_of(const HostCsr& matrix) {
  Entries entries;
  EXPECT_EQ(matrix.row_offsets.front(), 0);
  EXPECT_EQ(matrix.row_offsets.back(), matrix.nnz());
  for (int64_t r = 0; r < matrix.n_rows(); ++r) {
    const auto row = matrix.row(r);
    EXPECT_EQ(std::ranges::adjacent_find(row, std::ranges::greater_equal{}), row.end()) << "row " << r;
    for (size_t e = 0; e < row.size(); ++e) {
      const auto at = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r)]) + e;
      entries[{r, row[e]}] = matrix.values.empty() ? 1.0 : static_cast<double>(matrix.values[at]);
    }
  }
  return entries;
}

void expect_equal(const HostCsr& a, const HostCsr& b) {
  EXPECT_EQ(a.row_offsets, b.row_offsets);
  EXPECT_EQ(a.columns, b.columns);
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.n_columns, b.n_columns);
}

TEST(CsrFromPairs, AddsTheWeightsOfDuplicates) {
  std::mt19937 engine(1);
  std::vector<int32_t> rows, columns;
  std::vector<float> weights;
  Entries expected;
  for (int n = 0; n < 400; ++n) {  // 13 x 11 cells, so most pairs come more than once; rows 3 and 12 stay empty
    const auto row = static_cast<int32_t>(engine() % 12);
    if (row == 3) continue;
    rows.push_back(row);
    columns.push_back(static_cast<int32_t>(engine() % 11));
    weights.push_back(static_cast<float>(engine() % 16) / 4);  // quarters: every sum is exact
    expected[{row, columns.back()}] += static_cast<double>(weights.back());
  }
  ASSERT_LT(expected.size(), rows.size() / 2);
  const HostCsr csr = csr_from_pairs(rows, columns, weights, 13, 11);
  EXPECT_EQ(csr.n_rows(), 13);
  EXPECT_EQ(csr.n_columns, 11);
  EXPECT_EQ(csr.values.size(), csr.columns.size());
  EXPECT_EQ(entries_of(csr), expected);
}

TEST(CsrFromPairs, AddsInDoubleInTheGivenOrder) {
  const std::vector<int32_t> zeros(3, 0);
  // In float, 2^24 + 1 + 1 stays 2^24.
  EXPECT_EQ(csr_from_pairs(zeros, zeros, std::vector<float>{0x1p24f, 1, 1}, 1, 1).values, std::vector{0x1p24f + 2});
  // In double, 2^60 swallows a 1 that comes before it is taken away again.
  EXPECT_EQ(csr_from_pairs(zeros, zeros, std::vector<float>{0x1p60f, 1, -0x1p60f}, 1, 1).values, std::vector{0.0f});
  EXPECT_EQ(csr_from_pairs(zeros, zeros, std::vector<float>{0x1p60f, -0x1p60f, 1}, 1, 1).values, std::vector{1.0f});
}

TEST(CsrFromPairs, WithoutWeightsIsAPattern) {
  const std::vector<int32_t> rows{2, 0, 2, 2}, columns{1, 4, 0, 1};
  expect_equal(csr_from_pairs(rows, columns, {}, 3, 5), test::pattern({{4}, {}, {0, 1}}, 5));
  expect_equal(csr_from_pairs({}, {}, {}, 2, 5), test::pattern({{}, {}}, 5));
  expect_equal(csr_from_pairs({}, {}, {}, 0, 0), HostCsr{});
}

TEST(HostCsr, ContainsWhatItHolds) {
  const HostCsr matrix = engine_csr(random_csr(20, 15, 9, 2, false));
  const Entries entries = entries_of(matrix);
  for (int64_t r = 0; r < 20; ++r) {
    for (int32_t c = 0; c < 15; ++c) EXPECT_EQ(matrix.contains(r, c), entries.contains({r, c})) << r << ", " << c;
  }
}

TEST(Transpose, MovesEveryEntry) {
  for (const bool with_values : {true, false}) {
    const HostCsr matrix = engine_csr(random_csr(23, 17, 6, 3, with_values));
    const HostCsr turned = transpose(matrix);
    EXPECT_EQ(turned.n_rows(), 17);
    EXPECT_EQ(turned.n_columns, 23);
    EXPECT_EQ(turned.values.empty(), !with_values);
    Entries expected;
    for (const auto& [place, value] : entries_of(matrix)) expected[{place.second, place.first}] = value;
    EXPECT_EQ(entries_of(turned), expected);
    expect_equal(transpose(turned), matrix);
  }
  expect_equal(transpose(test::pattern({}, 2)), test::pattern({{}, {}}, 0));
}

TEST(IdentityCsr, IsTheDiagonal) {
  expect_equal(identity_csr(3), test::pattern({{0}, {1}, {2}}, 3));
  expect_equal(identity_csr(0), test::pattern({}, 0));
}

class DeviceCsrTest : public test::OpTest {};

TEST_P(DeviceCsrTest, ShowsWhatTheHostHolds) {
  const HostCsr matrix = test::sparse({{0, 2, 3}, {0, 0, 0}, {5, 0, 0}, {0, 0, 7}});
  const DeviceCsr copy(context(), matrix);
  const CsrView view = copy.view();
  EXPECT_EQ(view.n_rows, 4);
  EXPECT_EQ(view.n_columns, 3);
  ASSERT_EQ(view.nnz, 4);
  std::vector<int32_t> columns(4);
  std::vector<float> values(4);
  std::vector<int64_t> row_offsets(5);
  context().copy_to_host(columns.data(), view.columns, 4 * sizeof(int32_t));
  context().copy_to_host(values.data(), view.values, 4 * sizeof(float));
  context().copy_to_host(row_offsets.data(), view.row_offsets, 5 * sizeof(int64_t));
  EXPECT_EQ(columns, matrix.columns);
  EXPECT_EQ(values, matrix.values);
  EXPECT_EQ(row_offsets, matrix.row_offsets);
  EXPECT_EQ(DeviceCsr(context(), identity_csr(2)).view().values, nullptr);
}

SHEAF_ON_EVERY_BACKEND(DeviceCsrTest);

}  // namespace
}  // namespace sheaf
