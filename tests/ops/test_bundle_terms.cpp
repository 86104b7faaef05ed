#include <cstring>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/genetic/bundle_terms.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/genetic.hpp"

namespace sheaf {
namespace {

struct Case {
  int64_t n_problems, n_candidates, n_items, dim;  // dim 0: by association
  std::vector<int32_t> candidates;
  std::vector<float> probability, vectors;
  test::HostCsr association;
  std::vector<float> item_price;
  std::vector<float> item_cost = {};  // empty: none
  std::vector<int32_t> item_category;
  std::vector<uint8_t> item_flags;
  bool first_is_must_have = false;
  float scale = 0.8f, weight_association = 1.3f, weight_preference = 0.4f, weight_revenue = 0.05f;
};

// About one place in six is padding.
Case random_case(int64_t n_problems, int64_t n_candidates, int64_t dim) {
  const int64_t n_items = n_candidates + 20;
  Case c{.n_problems = n_problems,
         .n_candidates = n_candidates,
         .n_items = n_items,
         .dim = dim,
         .candidates = std::vector<int32_t>(static_cast<size_t>(n_problems * n_candidates)),
         .probability = test::random_floats(n_problems * n_candidates, 330, 0.0f, 1.0f),
         .vectors = test::random_floats(n_items * dim, 331),
         .association = {},
         .item_price = test::random_floats(n_items, 332, 0.5f, 90.0f),
         .item_cost = n_problems % 2 == 0 ? test::random_floats(n_items, 337, 0.0f, 2.0f) : std::vector<float>{},
         .item_category = test::random_ints(n_items, 333, 0, 9),
         .item_flags = {}};
  if (dim == 0) c.association = test::random_csr(n_items, n_items, 30, 334, true);
  for (const int32_t flag : test::random_ints(n_items, 335, 0, 3)) c.item_flags.push_back(static_cast<uint8_t>(flag));
  const std::vector<int32_t> chance = test::random_ints(n_problems * n_candidates, 336, 0, 5);
  for (size_t a = 0; a < c.candidates.size(); ++a) {
    // Unique in a row; ids fall, and wrap around in some problems.
    const auto problem = static_cast<int64_t>(a) / n_candidates, place = static_cast<int64_t>(a) % n_candidates;
    c.candidates[a] = chance[a] == 0 ? -1 : static_cast<int32_t>((n_items - 1 - place + 7 * problem) % n_items);
  }
  return c;
}

struct Output {
  std::vector<float> linear, pair, price;
  std::vector<int32_t> category;
  std::vector<uint8_t> flags;
  bool same_bits(const Output& other) const {
    return test::same_bits(linear, other.linear) && test::same_bits(pair, other.pair) &&
           test::same_bits(price, other.price) && category == other.category && flags == other.flags;
  }
};

Output run(Context& context, const Case& c) {
  const Buffer<int32_t> candidates(context, c.candidates), item_category(context, c.item_category);
  const Buffer<float> probability(context, c.probability), vectors(context, c.vectors),
      item_price(context, c.item_price), item_cost(context, c.item_cost);
  const Buffer<uint8_t> item_flags(context, c.item_flags);
  const test::DeviceCsr association(context, c.association);
  const int64_t rows = c.n_problems, cols = c.n_candidates;
  test::Guarded<float> linear(context, rows * cols), pair(context, rows * cols * cols), price(context, rows * cols);
  test::Guarded<int32_t> category(context, rows * cols);
  test::Guarded<uint8_t> flags(context, rows * cols);
  genetic::bundle_terms(context, {.candidates = candidates.matrix(rows, cols),
                                  .probability = probability.matrix(rows, cols),
                                  .vectors = vectors.matrix(c.dim > 0 ? c.n_items : 0, c.dim),
                                  .association = c.dim > 0 ? CsrView{} : association.view(),
                                  .item_price = item_price.view(),
                                  .item_category = item_category.view(),
                                  .item_flags = item_flags.view(),
                                  .item_cost = item_cost.view(),
                                  .first_is_must_have = c.first_is_must_have,
                                  .scale = c.scale,
                                  .weight_association = c.weight_association,
                                  .weight_preference = c.weight_preference,
                                  .weight_revenue = c.weight_revenue,
                                  .linear = linear.matrix(rows, cols),
                                  .pair = pair.view(),
                                  .price = price.matrix(rows, cols),
                                  .category = category.matrix(rows, cols),
                                  .flags = flags.matrix(rows, cols)});
  linear.expect_intact();
  pair.expect_intact();
  price.expect_intact();
  category.expect_intact();
  flags.expect_intact();
  return {linear.to_host(), pair.to_host(), price.to_host(), category.to_host(), flags.to_host()};
}

ref::BundleInput exact(const Case& c) {
  const auto n = static_cast<size_t>(c.n_items);
  std::vector<float> dense(c.dim > 0 ? 0 : n * n, 0.0f);
  for (size_t row = 0; row + 1 < c.association.row_offsets.size(); ++row) {
    for (auto e = static_cast<size_t>(c.association.row_offsets[row]);
         e < static_cast<size_t>(c.association.row_offsets[row + 1]); ++e) {
      dense[row * n + static_cast<size_t>(c.association.columns[e])] = c.association.values[e];
    }
  }
  return {c.n_candidates,
          c.candidates,
          c.probability,
          c.dim,
          c.vectors,
          dense,
          c.item_price,
          c.item_cost,
          c.scale,
          c.weight_association,
          c.weight_preference,
          c.weight_revenue};
}

void expect_near(const std::vector<float>& got, const std::vector<double>& value, const std::vector<double>& bound,
                 const char* what) {
  ASSERT_EQ(got.size(), value.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], value[i], bound[i]) << what << ", element " << i;
}

void expect_right(const Case& c, const Output& got) {
  SCOPED_TRACE(testing::Message() << c.n_problems << " problems, " << c.n_candidates << " candidates, dim " << c.dim);
  const ref::BundleTerms expected = ref::bundle_terms(exact(c));
  expect_near(got.linear, expected.linear, expected.linear_bound, "linear");
  expect_near(got.pair, expected.pair, expected.pair_bound, "pair");
  const auto width = static_cast<size_t>(c.n_candidates);
  for (size_t a = 0; a < c.candidates.size(); ++a) {
    const bool there = c.candidates[a] >= 0;
    const auto item = static_cast<size_t>(there ? c.candidates[a] : 0);
    const bool anchor = there && a % width == 0 && c.first_is_must_have;
    const int flags = there ? c.item_flags[item] | (anchor ? genetic::kMustHave : 0) : genetic::kForbidden;
    EXPECT_EQ(got.price[a], there ? c.item_price[item] : 0.0f) << a;
    EXPECT_EQ(got.category[a], there ? c.item_category[item] : 0) << a;
    EXPECT_EQ(got.flags[a], flags) << a;
    for (size_t b = 0; b < width; ++b) {
      const size_t mirror = (a / width * width + b) * width + a % width;
      EXPECT_EQ(std::memcmp(&got.pair[a * width + b], &got.pair[mirror], sizeof(float)), 0) << a << ", " << b;
    }
  }
}

class BundleTermsTest : public test::OpTest {};

TEST_P(BundleTermsTest, AgreesWithOracle) {
  for (const int64_t dim : {0, 24}) {
    for (const bool first_is_must_have : {false, true}) {
      for (const int64_t n_candidates : {1, 2, 15, 16, 17, 33, 256}) {
        Case c = random_case(4, n_candidates, dim);
        c.first_is_must_have = first_is_must_have;
        expect_right(c, run(context(), c));
      }
      for (const int64_t n_problems : {0, 1, 40}) {
        Case c = random_case(n_problems, 12, dim);
        c.first_is_must_have = first_is_must_have;
        expect_right(c, run(context(), c));
      }
    }
  }
  for (const int64_t dim : {1, 7, 31, 33, 200}) {
    const Case c = random_case(3, 10, dim);
    expect_right(c, run(context(), c));
  }
}

Case small_case(std::vector<int32_t> candidates, std::vector<float> probability) {
  const auto n = static_cast<int64_t>(candidates.size());
  return {.n_problems = 1,
          .n_candidates = n,
          .n_items = 3,
          .dim = 0,
          .candidates = std::move(candidates),
          .probability = std::move(probability),
          .vectors = {},
          .association = {},
          .item_price = {10, 20, 30},
          .item_category = {4, 5, 6},
          .item_flags = {0, genetic::kMustHave, genetic::kForbidden},
          .scale = 2.0f,
          .weight_association = 4.0f,
          .weight_preference = 1.0f,
          .weight_revenue = 0.5f};
}

TEST_P(BundleTermsTest, ByHandFromAssociations) {
  Case c = small_case({2, -1, 0, 1}, {0.5f, 9.0f, 0.25f, 1.0f});
  // (0, 1) = 5 and (1, 0) = 3: the larger; (0, 2) = 1 alone; (1, 2) = -1 and (2, 1) = -2: the larger.
  c.association = {{0, 2, 4, 5}, {1, 2, 0, 2, 1}, {5, 1, 3, -1, -2}, 3};
  c.first_is_must_have = true;
  const Output got = run(context(), c);
  EXPECT_EQ(got.linear, (std::vector<float>{0.5f * 16, 0, 0.25f * 6, 1.0f * 11}));
  EXPECT_EQ(got.price, (std::vector<float>{30, 0, 10, 20}));
  EXPECT_EQ(got.category, (std::vector<int32_t>{6, 0, 4, 5}));
  EXPECT_EQ(got.flags, (std::vector<uint8_t>{genetic::kMustHave | genetic::kForbidden, genetic::kForbidden, 0,
                                             genetic::kMustHave}));
  const float p20 = 4 * 0.75f * 2 * 1, p21 = 4 * 1.5f * 2 * -1, p01 = 4 * 1.25f * 2 * 5;
  EXPECT_EQ(got.pair, (std::vector<float>{0, 0, p20, p21, 0, 0, 0, 0, p20, 0, 0, p01, p21, 0, p01, 0}));
}

TEST_P(BundleTermsTest, ByHandFromVectors) {
  Case c = small_case({0, 1, 2}, {0.25f, 0.5f, 1.0f});
  c.dim = 2;
  c.vectors = {4, 0, 0.5f, 0, -2, 0};  // the first two in line, the third opposite: no association
  const Output got = run(context(), c);
  const float p01 = 4 * 0.75f * 2;
  EXPECT_EQ(got.pair, (std::vector<float>{0, p01, 0, p01, 0, 0, 0, 0, 0}));
}

TEST_P(BundleTermsTest, PaddingInFrontIsNoAnchor) {
  Case c = small_case({-1, 0}, {1.0f, 1.0f});
  c.association = {{0, 0, 0, 0}, {}, {}, 3};
  c.first_is_must_have = true;
  EXPECT_EQ(run(context(), c).flags, (std::vector<uint8_t>{genetic::kForbidden, 0}));
}

TEST_P(BundleTermsTest, VectorsWithoutALengthAssociateWithNothing) {
  for (const float value : {0.0f, 1e-30f, 1e20f, std::numeric_limits<float>::quiet_NaN()}) {
    Case c = small_case({0, 1, 2}, {0.25f, 0.5f, 1.0f});
    c.dim = 2;
    c.vectors = {1, 0, value, value, 1, 1e-30f};
    const Output got = run(context(), c);
    for (const size_t at : {1, 3, 5, 7}) EXPECT_EQ(got.pair[at], 0.0f) << at;
    EXPECT_EQ(got.pair[2], 4 * 1.25f * 2);
  }
}

// Squares of the lengths are denormal, or close to the largest float: neither their inverses nor the products may
// overflow.
TEST_P(BundleTermsTest, VeryShortAndVeryLongVectors) {
  Case c = small_case({0, 1, 2}, {0.5f, 0.5f, 0.5f});
  c.dim = 2;
  for (const float length : {0x1.0p-70f, 0x1.0p-40f, 0x1.0p63f}) {
    for (const float other : {0x1.0p-70f, 1.0f, 0x1.0p63f}) {
      c.vectors = {length, 0, 0, other, other, 0};
      const Output got = run(context(), c);
      EXPECT_EQ(got.pair[1], 0.0f) << length << ", " << other;  // at right angles
      EXPECT_EQ(got.pair[2], 8.0f) << length << ", " << other;  // in line
    }
  }
}

TEST_P(BundleTermsTest, SameBitsOnEveryRunAndAnyThreads) {
  for (const int64_t dim : {0, 19}) {
    const Case c = random_case(50, 30, dim);
    const Output first = run(context(), c);
    for (const int threads : {1, 2, 3}) EXPECT_TRUE(run(*make_context(threads), c).same_bits(first)) << threads;
  }
}

TEST_P(BundleTermsTest, RefusesWrongArguments) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 128);
  Buffer<int32_t> ints = Buffer<int32_t>::zeros(context(), 64);
  Buffer<uint8_t> bytes = Buffer<uint8_t>::zeros(context(), 64);
  const test::DeviceCsr association(context(), {{0, 1, 1, 1, 1, 1}, {3}, {2.0f}, 5});
  float* m = memory.data();
  const genetic::BundleTermsArgs good{.candidates = {ints.data(), 2, 3},
                                      .probability = {m, 2, 3},
                                      .vectors = {m, 5, 4},
                                      .association = {},
                                      .item_price = {m, 5},
                                      .item_category = {ints.data(), 5},
                                      .item_flags = {bytes.data(), 5},
                                      .linear = {m + 32, 2, 3},
                                      .pair = {m + 64, 18},
                                      .price = {m + 96, 2, 3},
                                      .category = {ints.data() + 32, 2, 3},
                                      .flags = {bytes.data() + 32, 2, 3}};
  EXPECT_NO_THROW(genetic::bundle_terms(context(), good));
  const auto refuses = [&](const auto& spoil) {
    genetic::BundleTermsArgs bad = good;
    spoil(bad);
    EXPECT_THROW(genetic::bundle_terms(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.probability.cols = 2; });
  refuses([](auto& a) { a.linear.rows = 1; });
  refuses([](auto& a) { a.price.cols = 4; });
  refuses([](auto& a) { a.category.rows = 3; });
  refuses([](auto& a) { a.flags.cols = 2; });
  refuses([](auto& a) { a.pair.size = 6; });
  refuses([](auto& a) { a.item_category.size = 4; });
  refuses([](auto& a) { a.item_flags.size = 6; });
  refuses([](auto& a) { a.vectors.rows = 4; });
  refuses([](auto& a) { a.vectors = {}; });  // and no association
  refuses([](auto& a) {
    a.candidates.cols = a.probability.cols = a.linear.cols = a.price.cols = a.category.cols = a.flags.cols = 0;
    a.pair.size = 0;
  });
  refuses([](auto& a) {
    a.candidates.cols = a.probability.cols = a.linear.cols = a.price.cols = a.category.cols = a.flags.cols = 257;
    a.pair.size = 2 * 257 * 257;
  });
  genetic::BundleTermsArgs sparse = good;
  sparse.vectors = {};
  sparse.association = association.view();
  EXPECT_NO_THROW(genetic::bundle_terms(context(), sparse));
  sparse.association.values = nullptr;
  EXPECT_THROW(genetic::bundle_terms(context(), sparse), UsageError);
  sparse.association = association.view();
  sparse.association.n_columns = 4;
  EXPECT_THROW(genetic::bundle_terms(context(), sparse), UsageError);
}

SHEAF_ON_EVERY_BACKEND(BundleTermsTest);

}  // namespace
}  // namespace sheaf
