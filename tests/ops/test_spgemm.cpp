#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/sparse/spgemm.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/sparse.hpp"

namespace sheaf {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  test::HostCsr left, right;  // right without rows: the identity
  std::vector<int32_t> ids;
  std::vector<float> bias = {};
  const test::HostCsr* factor() const { return right.n_rows() > 0 ? &right : nullptr; }
  int64_t n_columns() const { return factor() ? right.n_columns : left.n_columns; }
};

Case random_case(int64_t n, int64_t n_rows, int64_t n_inner, int64_t n_columns, bool weighted) {
  Case c{test::random_csr(n_rows, n_inner, 12, 400, weighted), test::random_csr(n_inner, n_columns, 200, 401, weighted),
         test::random_ints(n, 402, 0, static_cast<int32_t>(n_rows) - 1)};
  for (size_t e = 0; e < c.left.values.size(); e += 3) c.left.values[e] *= -1.0f;
  if (weighted) c.bias = test::random_floats(n_columns, 403);
  return c;
}

std::vector<float> run(Context& context, const Case& c) {
  const test::DeviceCsr left(context, c.left), right(context, c.right);
  const Buffer<int32_t> ids(context, c.ids);
  const Buffer<float> bias(context, c.bias);
  const auto n = static_cast<int64_t>(c.ids.size());
  test::Guarded<float> out(context, n * c.n_columns());
  sparse::spgemm(context, {.left = left.view(),
                           .right = c.factor() ? right.view() : CsrView{},
                           .ids = ids.view(),
                           .column_bias = bias.view(),
                           .out = out.matrix(n, c.n_columns())});
  out.expect_intact();
  return out.to_host();
}

void expect_right(Context& context, const Case& c) {
  SCOPED_TRACE(testing::Message() << c.ids.size() << " of " << c.left.n_rows() << " rows, " << c.left.n_columns
                                  << " inner, " << c.n_columns() << " columns");
  const std::vector<float> got = run(context, c);
  const ref::Sums expected = ref::spgemm(c.left, c.factor(), c.ids, c.bias);
  ASSERT_EQ(got.size(), expected.value.size());
  for (size_t at = 0; at < got.size(); ++at) {
    ASSERT_NEAR(static_cast<double>(got[at]), expected.value[at], expected.bound(at)) << "place " << at;
  }
}

/// The order and the roundings that the header promises.
std::vector<float> promised(const Case& c) {
  std::vector<float> out;
  for (const int32_t id : c.ids) {
    std::vector<float> row = c.bias;
    row.resize(static_cast<size_t>(c.n_columns()), 0.0f);
    const auto id_at = static_cast<size_t>(id);
    for (auto e = static_cast<size_t>(c.left.row_offsets[id_at]);
         e < static_cast<size_t>(c.left.row_offsets[id_at + 1]); ++e) {
      const float weight = c.left.values.empty() ? 1.0f : c.left.values[e];
      const auto inner = static_cast<size_t>(c.left.columns[e]);
      if (!c.factor()) {
        row[inner] += weight;
        continue;
      }
      for (auto s = static_cast<size_t>(c.right.row_offsets[inner]);
           s < static_cast<size_t>(c.right.row_offsets[inner + 1]); ++s) {
        float& sum = row[static_cast<size_t>(c.right.columns[s])];
        sum = std::fma(weight, c.right.values.empty() ? 1.0f : c.right.values[s], sum);
      }
    }
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

class SpgemmTest : public test::OpTest {};

TEST_P(SpgemmTest, AgreesWithOracle) {
  for (const bool weighted : {false, true}) {
    for (const int64_t n_columns : {1, 31, 33, 127, 128, 129, 700}) {
      expect_right(context(), random_case(9, 6, 40, n_columns, weighted));
    }
    for (const int64_t n : {0, 1, 7, 8, 9, 65}) expect_right(context(), random_case(n, 11, 20, 50, weighted));
    for (const int64_t n_inner : {1, 2, 300}) expect_right(context(), random_case(5, 8, n_inner, 90, weighted));
  }
}

TEST_P(SpgemmTest, IdentityOnTheRight) {
  for (const int64_t n_columns : {1, 127, 129, 300}) {
    for (const bool weighted : {false, true}) {
      Case c{test::random_csr(7, n_columns, 200, 404, weighted), {}, {6, 0, 3, 3}};
      expect_right(context(), c);
      c.bias = test::random_floats(n_columns, 405);
      expect_right(context(), c);
    }
  }
}

// The header's example: left = X^T, right = X. Sums of ones are exact.
TEST_P(SpgemmTest, GramMatrixCounts) {
  const test::HostCsr x = test::random_csr(60, 25, 9, 406, false);
  Case c{ref::transpose(x), x, {}};
  for (int32_t i = 0; i < 25; ++i) c.ids.push_back(i);
  const std::vector<float> gram = run(context(), c);
  const auto counts = ref::cooccurrence(x, 1);
  for (size_t i = 0; i < 25; ++i) {
    const auto own = static_cast<float>(c.left.row_offsets[i + 1] - c.left.row_offsets[i]);
    for (size_t j = 0; j < 25; ++j) {
      const auto found = counts[i].find(static_cast<int32_t>(j));
      const float expected = i == j ? own : found == counts[i].end() ? 0.0f : static_cast<float>(found->second);
      EXPECT_EQ(gram[i * 25 + j], expected) << i << ", " << j;
    }
  }
}

TEST_P(SpgemmTest, ByHandWithColumnsInAnyOrder) {
  Case c;
  c.left = {{0, 2, 2, 3}, {1, 0, 1}, {2.0f, -1.0f, 0.5f}, 2};
  c.right = {{0, 2, 5}, {2, 0, 3, 0, 1}, {3.0f, 1.0f, 4.0f, 6.0f, 8.0f}, 4};
  c.ids = {2, 0, 1, 2};
  EXPECT_EQ(run(context(), c), (std::vector<float>{3, 4, 0, 2, 11, 16, -3, 8, 0, 0, 0, 0, 3, 4, 0, 2}));
  c.bias = {10.0f, 20.0f, 30.0f, 40.0f};
  EXPECT_EQ(run(context(), c), (std::vector<float>{13, 24, 30, 42, 21, 36, 27, 48, 10, 20, 30, 40, 13, 24, 30, 42}));
}

TEST_P(SpgemmTest, BitsAreThoseOfThePromisedOrder) {
  for (const auto& [n, n_inner, n_columns] : {std::tuple{40, 60, 200}, std::tuple{9, 500, 131}}) {
    Case c = random_case(n, 30, n_inner, n_columns, true);
    EXPECT_TRUE(test::same_bits(run(context(), c), promised(c)));
    c.bias.clear();
    EXPECT_TRUE(test::same_bits(run(context(), c), promised(c)));
  }
  // The large terms cancel only if they follow one another.
  Case c;
  c.left = {{0, 3}, {2, 0, 1}, {1.0f, 1.0f, -1.0f}, 3};
  c.right = {{0, 1, 2, 3}, {0, 0, 0}, {1e8f, 1e8f, 1.0f}, 1};
  c.ids = {0};
  EXPECT_EQ(run(context(), c), (std::vector<float>{0.0f}));
  c.left.columns = {0, 1, 2};
  c.left.values = {1.0f, -1.0f, 1.0f};
  EXPECT_EQ(run(context(), c), (std::vector<float>{1.0f}));
}

TEST_P(SpgemmTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(300, 90, 70, 260, true);
  const std::vector<float> first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(test::same_bits(run(*make_context(threads), c), first)) << threads;
}

TEST_P(SpgemmTest, NaNAndInfinityStayWithTheEntriesThatNameThem) {
  Case c;
  c.left = {{0, 1, 2, 4}, {0, 1, 0, 1}, {0.0f, kNan, 0.0f, 2.0f}, 2};
  c.right = {{0, 2, 4}, {0, 1, 1, 2}, {kInfinity, 2.0f, 3.0f, 4.0f}, 4};
  c.ids = {0, 1, 2};
  c.bias = {0.0f, 0.0f, 0.0f, kNan};
  const std::vector<float> out = run(context(), c);
  const std::vector<float> expected{kNan, 0.0f, 0.0f, kNan, 0.0f, kNan, kNan, kNan, kNan, 6.0f, 8.0f, kNan};
  for (size_t at = 0; at < out.size(); ++at) {
    EXPECT_TRUE(std::isnan(expected[at]) ? std::isnan(out[at]) : out[at] == expected[at]) << at << ": " << out[at];
  }
}

TEST_P(SpgemmTest, NothingToDoAndNothingToAdd) {
  const Case none = random_case(0, 4, 5, 6, true);
  EXPECT_TRUE(run(context(), none).empty());
  Case no_columns;
  no_columns.left = {{0, 1}, {0}, {}, 1};
  no_columns.right = {{0, 0}, {}, {}, 0};
  no_columns.ids = {0};
  EXPECT_TRUE(run(context(), no_columns).empty());
  Case empty_rows;  // no entry on either side
  empty_rows.left = {{0, 0, 0}, {}, {}, 3};
  empty_rows.ids = {1, 0};
  EXPECT_EQ(run(context(), empty_rows), std::vector<float>(6, 0.0f));
  empty_rows.bias = {1.0f, 2.0f, 3.0f};
  EXPECT_EQ(run(context(), empty_rows), (std::vector<float>{1, 2, 3, 1, 2, 3}));
}

TEST_P(SpgemmTest, AnIdOutOfRangeIsReportedAndLeftOut) {
  Case c = random_case(60, 20, 30, 40, true);
  const std::vector<float> right_rows = run(context(), c);
  const std::vector<int32_t> right_ids = c.ids;
  for (const auto& [place, id] : {std::pair{7, 20}, {8, -1}, {31, 2147483647}, {59, -2147483647 - 1}}) {
    c.ids[static_cast<size_t>(place)] = id;
  }
  const test::DeviceCsr left(context(), c.left), right(context(), c.right);
  const Buffer<int32_t> ids(context(), c.ids), good_ids(context(), right_ids);
  const Buffer<float> bias(context(), c.bias);
  Buffer<uint64_t> fault(context(), 1);
  test::Guarded<float> out(context(), 60 * 40);
  sparse::SpgemmArgs args{.left = left.view(),
                          .right = right.view(),
                          .ids = ids.view(),
                          .column_bias = bias.view(),
                          .out = out.matrix(60, 40),
                          .fault = fault.data()};
  sparse::clear_spgemm_fault(context(), fault.data());
  sparse::spgemm(context(), args);
  out.expect_intact();
  const std::vector<float> got = out.to_host();
  for (size_t r = 0; r < 60; ++r) {
    const bool is_wrong = c.ids[r] != right_ids[r];
    const auto* expected = is_wrong ? c.bias.data() : right_rows.data() + r * 40;
    EXPECT_TRUE(std::equal(expected, expected + 40, got.data() + r * 40)) << r;
  }
  try {
    sparse::raise_spgemm_fault(context(), args);
    ADD_FAILURE() << "no error";
  } catch (const DataError& error) {
    EXPECT_EQ(error.what(), std::string("spgemm: id 20 at position 7 is outside the 20 rows"));
  }
  args.ids = good_ids.view();  // the word is clear again, and the context in order
  sparse::spgemm(context(), args);
  EXPECT_NO_THROW(sparse::raise_spgemm_fault(context(), args));
  EXPECT_TRUE(test::same_bits(out.to_host(), right_rows));
  args.ids = ids.view();
  args.fault = nullptr;  // not recorded, and left out all the same
  EXPECT_NO_THROW(sparse::spgemm(context(), args));
}

TEST_P(SpgemmTest, RefusesWrongArguments) {
  const Case c = random_case(3, 4, 5, 6, true);
  const test::DeviceCsr left(context(), c.left), right(context(), c.right);
  const Buffer<int32_t> ids(context(), c.ids);
  const Buffer<float> bias(context(), c.bias);
  test::Guarded<float> out(context(), 3 * 6);
  const sparse::SpgemmArgs good{.left = left.view(),
                                .right = right.view(),
                                .ids = ids.view(),
                                .column_bias = bias.view(),
                                .out = out.matrix(3, 6)};
  EXPECT_NO_THROW(sparse::spgemm(context(), good));
  const auto refuses = [&](const auto& spoil) {
    sparse::SpgemmArgs bad = good;
    spoil(bad);
    EXPECT_THROW(sparse::spgemm(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.left.n_columns = 4; });
  refuses([](auto& a) { a.right.n_rows = 4; });
  refuses([](auto& a) { a.right.n_columns = 5; });
  refuses([](auto& a) { a.right = {}; });        // an identity of 5 for 6 columns
  refuses([](auto& a) { a.right.n_rows = 0; });  // the same
  refuses([](auto& a) { a.out.cols = 5; });
  refuses([](auto& a) { a.out.rows = 2; });
  refuses([](auto& a) { a.ids.size = 2; });
  refuses([](auto& a) { a.column_bias.size = 5; });
  refuses([](auto& a) { a.left.n_rows = 0; });
  refuses([](auto& a) { a.left.columns = nullptr; });
  refuses([](auto& a) { a.right.row_offsets = nullptr; });
  refuses([](auto& a) { a.ids.data = nullptr; });
  refuses([](auto& a) { a.out.data = nullptr; });
  refuses([](auto& a) { a.ids.size = a.out.rows = int64_t{1} << 31; });
}

SHEAF_ON_EVERY_BACKEND(SpgemmTest);

}  // namespace
}  // namespace sheaf
