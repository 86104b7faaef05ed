#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/genetic/joint_pairs.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/genetic.hpp"

namespace sheaf {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Case {
  int64_t n_problems, n_candidates, n_items;
  std::vector<int32_t> candidates;
  std::vector<float> probability, value;
  test::HostCsr counts = {}, substitutes = {};  // empty: none
  std::vector<float> frequency;
  std::vector<int32_t> item_category;
  int64_t n_categories = 0, dim = 0;  // 0: no prior, no vectors
  std::vector<float> prior = {}, vectors = {};
  float prior_strength = 3.0f, prior_cosine = 0.0f, exponent = 1.0f, offset = 0.0f, weight = 1.0f;
  float substitute_factor = 1.0f;
  std::vector<float> pair;
};

// A symmetric matrix of which a random matrix with the same number of entries a row is the half.
test::HostCsr symmetric_csr(int64_t n, int64_t max_per_row, uint32_t seed) {
  const test::HostCsr half = test::random_csr(n, n, max_per_row, seed, true);
  const auto size = static_cast<size_t>(n);
  std::vector<float> dense(size * size, 0.0f);
  for (size_t row = 0; row < size; ++row) {
    for (auto e = static_cast<size_t>(half.row_offsets[row]); e < static_cast<size_t>(half.row_offsets[row + 1]); ++e) {
      const auto column = static_cast<size_t>(half.columns[e]);
      dense[row * size + column] = dense[column * size + row] = std::ceil(20.0f * half.values[e]);
    }
  }
  test::HostCsr result{.row_offsets = {0}, .columns = {}, .values = {}, .n_columns = n};
  for (size_t row = 0; row < size; ++row) {
    for (size_t column = 0; column < size; ++column) {
      if (row == column || dense[row * size + column] == 0.0f) continue;
      result.columns.push_back(static_cast<int32_t>(column));
      result.values.push_back(dense[row * size + column]);
    }
    result.row_offsets.push_back(static_cast<int64_t>(result.columns.size()));
  }
  return result;
}

// About one place in six is padding; everything has a part.
Case random_case(int64_t n_problems, int64_t n_candidates, int64_t dim = 24) {
  const int64_t n_items = n_candidates + 20, n_places = n_problems * n_candidates;
  Case c{.n_problems = n_problems,
         .n_candidates = n_candidates,
         .n_items = n_items,
         .candidates = std::vector<int32_t>(static_cast<size_t>(n_places)),
         .probability = test::random_floats(n_places, 510, 0.0f, 1.0f),
         .value = test::random_floats(n_places, 511, -0.5f, 4.0f),
         .counts = symmetric_csr(n_items, std::max<int64_t>(12, n_items / 2), 512),  // long rows among the larger
         .substitutes = symmetric_csr(n_items, 6, 513),
         .frequency = test::random_floats(n_items, 514, 0.0f, 4.0f),
         .item_category = test::random_ints(n_items, 515, 0, 6),
         .n_categories = 7,
         .dim = dim,
         .prior = test::random_floats(49, 516, 0.2f, 3.0f),
         .vectors = test::random_floats(n_items * dim, 517),
         .prior_cosine = 1.7f,
         .exponent = 0.8f,
         .offset = 0.3f,
         .weight = 1.4f,
         .substitute_factor = 0.25f,
         .pair = test::random_floats(n_places * n_candidates, 518, -1.0f, 1.0f)};
  for (size_t row = 0; row < 7; ++row) {
    for (size_t column = 0; column < row; ++column) c.prior[column * 7 + row] = c.prior[row * 7 + column];
  }
  const std::vector<int32_t> chance = test::random_ints(n_places, 519, 0, 5);
  const auto width = static_cast<size_t>(n_candidates);
  for (size_t a = 0; a < c.candidates.size(); ++a) {
    // Unique in a row; ids fall, and wrap around in some problems.
    const auto problem = static_cast<int64_t>(a / width), place = static_cast<int64_t>(a % width);
    c.candidates[a] = chance[a] == 0 ? -1 : static_cast<int32_t>((n_items - 1 - place + 7 * problem) % n_items);
    // The halves of `pair` begin with the same bits.
    const size_t first = a / width * width;
    for (size_t b = 0; b < a % width; ++b) c.pair[a * width + b] = c.pair[(first + b) * width + a % width];
  }
  return c;
}

CsrView view_or_empty(const test::HostCsr& host, const test::DeviceCsr& device) {
  return host.n_columns == 0 ? CsrView{} : device.view();
}

std::vector<float> run(Context& context, const Case& c) {
  const Buffer<int32_t> candidates(context, c.candidates), item_category(context, c.item_category);
  const Buffer<float> probability(context, c.probability), value(context, c.value), frequency(context, c.frequency),
      prior(context, c.prior), vectors(context, c.vectors);
  const test::DeviceCsr counts(context, c.counts), substitutes(context, c.substitutes);
  const int64_t rows = c.n_problems, cols = c.n_candidates;
  test::Guarded<float> pair(context, c.pair);
  genetic::joint_pairs(context, {.candidates = candidates.matrix(rows, cols),
                                 .probability = probability.matrix(rows, cols),
                                 .value = value.matrix(rows, cols),
                                 .counts = view_or_empty(c.counts, counts),
                                 .frequency = frequency.view(),
                                 .item_category = item_category.view(),
                                 .prior = prior.matrix(c.n_categories, c.n_categories),
                                 .vectors = vectors.matrix(c.dim > 0 ? c.n_items : 0, c.dim),
                                 .substitutes = view_or_empty(c.substitutes, substitutes),
                                 .prior_strength = c.prior_strength,
                                 .prior_cosine = c.prior_cosine,
                                 .exponent = c.exponent,
                                 .offset = c.offset,
                                 .weight = c.weight,
                                 .substitute_factor = c.substitute_factor,
                                 .pair = pair.view()});
  pair.expect_intact();
  return pair.to_host();
}

std::vector<float> dense(const test::HostCsr& matrix, int64_t n) {
  const auto size = static_cast<size_t>(n);
  std::vector<float> result(size * size, 0.0f);
  for (size_t row = 0; row + 1 < matrix.row_offsets.size(); ++row) {
    for (auto e = static_cast<size_t>(matrix.row_offsets[row]); e < static_cast<size_t>(matrix.row_offsets[row + 1]);
         ++e) {
      result[row * size + static_cast<size_t>(matrix.columns[e])] = matrix.values[e];
    }
  }
  return result;
}

void expect_right(const Case& c, const std::vector<float>& got) {
  SCOPED_TRACE(testing::Message() << c.n_problems << " problems, " << c.n_candidates << " candidates, dim " << c.dim);
  const ref::JointPairs expected = ref::joint_pairs({.n_candidates = c.n_candidates,
                                                     .candidates = c.candidates,
                                                     .probability = c.probability,
                                                     .value = c.value,
                                                     .counts = dense(c.counts, c.n_items),
                                                     .substitutes = dense(c.substitutes, c.n_items),
                                                     .frequency = c.frequency,
                                                     .item_category = c.item_category,
                                                     .n_categories = c.n_categories,
                                                     .dim = c.dim,
                                                     .prior = c.prior,
                                                     .vectors = c.vectors,
                                                     .prior_strength = c.prior_strength,
                                                     .prior_cosine = c.prior_cosine,
                                                     .exponent = c.exponent,
                                                     .offset = c.offset,
                                                     .weight = c.weight,
                                                     .substitute_factor = c.substitute_factor,
                                                     .pair = c.pair});
  ASSERT_EQ(got.size(), expected.pair.size());
  const auto width = static_cast<size_t>(c.n_candidates);
  for (size_t at = 0; at < got.size(); ++at) {
    ASSERT_NEAR(got[at], expected.pair[at], expected.bound[at]) << "element " << at;
    const size_t a = at / width, b = at % width, mirror = (a / width * width + b) * width + a % width;
    ASSERT_EQ(std::memcmp(&got[at], &got[mirror], sizeof(float)), 0) << "elements " << at << " and " << mirror;
  }
}

class JointPairsTest : public test::OpTest {};

TEST_P(JointPairsTest, AgreesWithOracle) {
  for (const int64_t n_candidates : {1, 2, 31, 33, 64, 256}) {
    const Case c = random_case(n_candidates == 256 ? 2 : 4, n_candidates);
    expect_right(c, run(context(), c));
  }
  for (const int64_t n_problems : {0, 1, 40}) {
    const Case c = random_case(n_problems, 12);
    expect_right(c, run(context(), c));
  }
  for (const int64_t dim : {1, 7, 31, 33, 200}) {
    const Case c = random_case(3, 10, dim);
    expect_right(c, run(context(), c));
  }
}

TEST_P(JointPairsTest, EachPartMayBeMissing) {
  const auto check = [&](const auto& spoil) {
    Case c = random_case(5, 34);
    spoil(c);
    expect_right(c, run(context(), c));
  };
  check([](Case& c) { c.counts = {}; });
  check([](Case& c) { c.counts = {std::vector<int64_t>(static_cast<size_t>(c.n_items) + 1, 0), {}, {}, c.n_items}; });
  check([](Case& c) { c.substitutes = {}; });
  check([](Case& c) { c.prior.clear(), c.n_categories = 0; });
  check([](Case& c) { c.vectors.clear(), c.dim = 0; });
  check([](Case& c) {
    c.counts = c.substitutes = {};
    c.prior.clear(), c.n_categories = 0;
    c.vectors.clear(), c.dim = 0;
  });
}

TEST_P(JointPairsTest, AllParameters) {
  const auto check = [&](const auto& change) {
    Case c = random_case(5, 20);
    change(c);
    expect_right(c, run(context(), c));
  };
  for (const float x : {0.01f, 5.0f, 1000.0f}) check([&](Case& c) { c.prior_strength = x; });
  for (const float x : {-2.0f, 0.0f, 4.0f}) check([&](Case& c) { c.prior_cosine = x; });
  for (const float x : {-1.5f, 0.0f, 1.0f, 3.0f}) check([&](Case& c) { c.exponent = x; });
  for (const float x : {-20.0f, 0.0f, 20.0f}) check([&](Case& c) { c.offset = x; });
  for (const float x : {-1.0f, 0.0f, 1e6f}) check([&](Case& c) { c.weight = x; });
  for (const float x : {-1.0f, 0.0f, 1.0f, 3.0f}) check([&](Case& c) { c.substitute_factor = x; });
}

// Three items in three categories; all numbers are powers of two or their small sums, so nothing rounds.
Case small_case(std::vector<int32_t> candidates, std::vector<float> probability, std::vector<float> value) {
  const auto n = candidates.size();
  return {.n_problems = 1,
          .n_candidates = static_cast<int64_t>(n),
          .n_items = 3,
          .candidates = std::move(candidates),
          .probability = std::move(probability),
          .value = std::move(value),
          .frequency = {1.0f, 2.0f, 0.5f},
          .item_category = {2, 0, 1},
          .prior_strength = 2.0f,
          .pair = std::vector<float>(n * n, 0.0f)};
}

TEST_P(JointPairsTest, ByHand) {
  Case c = small_case({2, -1, 0, 1}, {0.25f, 9.0f, 0.5f, 0.125f}, {4, 100, 2, 1});
  c.counts = {{0, 1, 3, 4}, {1, 0, 2, 1}, {6, 6, 1, 1}, 3};  // (0, 1) in 6 baskets, (1, 2) in 1
  c.pair = {7, 7, 10, 0, 7, 7, 7, 7, 10, 7, 7, 1, 0, 7, 1, 7};
  // (2, 0): (0 + 2) / (1/2 + 2) = 0.8, so 0.25 x 0.5 x 0.8 x (4 + 2) = 0.6 on 10.
  // (2, 1): (1 + 2) / (1 + 2) = 1, so 0.25 x 0.125 x (4 + 1) = 0.15625 on 0.
  // (0, 1): (6 + 2) / (2 + 2) = 2, so 0.5 x 0.125 x 2 x (2 + 1) = 0.375 on 1.
  std::vector<float> got = run(context(), c);
  EXPECT_NEAR(got[2], 10.6, 1e-5);
  EXPECT_EQ(got[2], got[8]);
  got[2] = got[8] = 0.0f;
  EXPECT_EQ(got, (std::vector<float>{7, 7, 0, 0.15625f, 7, 7, 7, 7, 0, 7, 7, 1.375f, 0.15625f, 7, 1.375f, 7}));
  // A prior of 1/2 for categories 2 and 0, those of items 0 and 1: (6 + 1) / 4 = 1.75. Squared, 0.5 times it is above
  // 1: the smaller P.
  c.n_categories = 3;
  c.prior = {1, 1, 0.5f, 1, 1, 1, 0.5f, 1, 1};
  EXPECT_EQ(run(context(), c)[11], 1.0f + 0.5f * 0.125f * 1.75f * 3.0f);
  c.exponent = 2.0f;
  EXPECT_EQ(run(context(), c)[11], 1.0f + 0.125f * 3.0f);
  // Substitutes, (1, 2) alone, count half; everything counts four times.
  c.substitutes = {{0, 0, 1, 2}, {2, 1}, {0, 0}, 3};
  c.substitute_factor = 0.5f;
  c.weight = 4.0f;
  EXPECT_EQ(run(context(), c)[3], 4.0f * 0.15625f * 0.5f);
  EXPECT_EQ(run(context(), c)[11], 1.0f + 4.0f * 0.125f * 3.0f);
}

TEST_P(JointPairsTest, CosineLiftsThePriorAlone) {
  Case c = small_case({0, 1, 2}, {0.25f, 0.25f, 0.25f}, {1, 1, 1});
  c.frequency = {0, 0, 0};  // the ratio is that of the prior, but for counts
  c.dim = 2;
  c.vectors = {4, 0, 0.5f, 0, -2, 0};  // the first two in line, the third opposite: as if at right angles
  c.prior_cosine = std::log(2.0f);
  std::vector<float> got = run(context(), c);
  EXPECT_NEAR(got[1], 0.25, 1e-6);
  EXPECT_EQ(got[2], 0.125f);
  EXPECT_EQ(got[5], 0.125f);
  c.counts = {{0, 1, 2, 2}, {1, 0}, {4, 4}, 3};  // (4 + 2 x 2) / 2
  EXPECT_NEAR(run(context(), c)[1], 0.5, 2e-6);
  // A vector without a length, or that is no number, has no cosine.
  c.counts = {};
  for (const float value : {0.0f, kNaN}) {
    c.vectors[0] = value;
    EXPECT_EQ(run(context(), c)[1], 0.125f) << value;
  }
}

TEST_P(JointPairsTest, VectorsAreNotReadWithoutAWeight) {
  Case c = random_case(3, 20);
  c.prior_cosine = 0.0f;
  const std::vector<float> without = run(context(), c);
  c.vectors.assign(c.vectors.size(), kNaN);
  EXPECT_TRUE(test::same_bits(run(context(), c), without));
  c.vectors.clear(), c.dim = 0;
  EXPECT_TRUE(test::same_bits(run(context(), c), without));
}

// No chance of both is above the chance of one; rho of any size, 0 and infinity with it, makes no number that is none.
TEST_P(JointPairsTest, TheSmallerChanceIsTheMost) {
  Case c = small_case({0, 1, 2}, {0.75f, 0.25f, 0.0f}, {1, 1, 1});
  c.frequency = {0, 0, 0};
  for (const float exponent : {3.0f, 200.0f, -3.0f, -200.0f}) {
    c.n_categories = 3;
    c.prior.assign(9, exponent > 0.0f ? 16.0f : 1.0f / 16.0f);
    c.exponent = exponent;
    c.offset = 60.0f;
    const std::vector<float> got = run(context(), c);
    EXPECT_EQ(got, (std::vector<float>{0, 0.5f, 0, 0.5f, 0, 0, 0, 0, 0})) << exponent;
  }
  c.probability = {0.0f, 0.0f, 0.0f};  // times infinity
  EXPECT_EQ(run(context(), c), std::vector<float>(9, 0.0f));
  c.probability = {0.75f, 0.25f, 0.0f};
  c.exponent = 200.0f;  // and to nothing
  c.offset = 0.0f;
  EXPECT_EQ(run(context(), c), std::vector<float>(9, 0.0f));
  c.prior_cosine = 1000.0f;  // its exponential is infinity
  c.exponent = 1.0f;
  c.dim = 1;
  c.vectors = {1, 1, 1};
  EXPECT_EQ(run(context(), c), (std::vector<float>{0, 0.5f, 0, 0.5f, 0, 0, 0, 0, 0}));
}

TEST_P(JointPairsTest, NoNumberGoesWhereItsItemGoes) {
  for (const bool in_value : {false, true}) {
    for (size_t bad = 0; bad < 4; ++bad) {
      if (bad == 1) continue;  // padding
      Case c = small_case({0, -1, 1, 2}, {0.5f, kNaN, 0.25f, 1.0f}, {1, kNaN, 2, 3});
      (in_value ? c.value : c.probability)[bad] = kNaN;
      const std::vector<float> got = run(context(), c);
      for (size_t a = 0; a < 4; ++a) {
        for (size_t b = 0; b < 4; ++b) {
          const bool touched = a != b && a != 1 && b != 1;
          EXPECT_EQ(std::isnan(got[a * 4 + b]), touched && (a == bad || b == bad)) << bad << ": " << a << ", " << b;
        }
      }
    }
  }
}

TEST_P(JointPairsTest, PaddingAndDiagonalKeepTheirBits) {
  Case c = random_case(3, 33);
  const auto is_kept = [&](size_t at) {
    const size_t a = at / 33, b = a / 33 * 33 + at % 33;
    return a == b || c.candidates[a] < 0 || c.candidates[b] < 0;
  };
  for (size_t at = 0; at < c.pair.size(); ++at) {
    if (is_kept(at)) c.pair[at] = at % 2 == 0 ? kNaN : -0.0f;
  }
  const std::vector<float> got = run(context(), c);
  for (size_t at = 0; at < got.size(); ++at) {
    EXPECT_EQ(std::memcmp(&got[at], &c.pair[at], sizeof(float)) == 0, is_kept(at)) << at;
  }
}

TEST_P(JointPairsTest, SameBitsOnEveryRunAndAnyThreads) {
  const Case c = random_case(50, 30, 19);
  const std::vector<float> first = run(context(), c);
  for (const int threads : {1, 2, 3}) EXPECT_TRUE(test::same_bits(run(*make_context(threads), c), first)) << threads;
}

TEST_P(JointPairsTest, RefusesWrongArguments) {
  Buffer<float> memory = Buffer<float>::zeros(context(), 128);
  Buffer<int32_t> ints = Buffer<int32_t>::zeros(context(), 64);
  const test::DeviceCsr matrix(context(), {{0, 1, 1, 1, 1, 1}, {3}, {2.0f}, 5});
  float* m = memory.data();
  const genetic::JointPairsArgs good{.candidates = {ints.data(), 2, 3},
                                     .probability = {m, 2, 3},
                                     .value = {m, 2, 3},
                                     .counts = matrix.view(),
                                     .frequency = {m, 5},
                                     .item_category = {ints.data(), 5},
                                     .prior = {m, 2, 2},
                                     .vectors = {m, 5, 4},
                                     .substitutes = matrix.view(),
                                     .pair = {m + 64, 18}};
  EXPECT_NO_THROW(genetic::joint_pairs(context(), good));
  const auto refuses = [&](const auto& spoil) {
    genetic::JointPairsArgs bad = good;
    spoil(bad);
    EXPECT_THROW(genetic::joint_pairs(context(), bad), UsageError);
  };
  refuses([](auto& a) { a.probability.cols = 2; });
  refuses([](auto& a) { a.value.rows = 1; });
  refuses([](auto& a) { a.pair.size = 6; });
  refuses([](auto& a) { a.item_category.size = 4; });
  refuses([](auto& a) { a.counts.values = nullptr; });
  refuses([](auto& a) { a.counts.n_rows = 4; });
  refuses([](auto& a) { a.counts.n_columns = 6; });
  refuses([](auto& a) { a.substitutes.n_rows = 6; });
  refuses([](auto& a) { a.prior.cols = 1; });
  refuses([](auto& a) { a.vectors.rows = 4; });
  refuses([](auto& a) { a.candidates.cols = a.probability.cols = a.value.cols = a.pair.size = 0; });
  refuses([](auto& a) {
    a.candidates.cols = a.probability.cols = a.value.cols = 257;
    a.pair.size = 2 * 257 * 257;
  });
  for (const float x : {0.0f, -1.0f, kNaN, INFINITY}) refuses([&](auto& a) { a.prior_strength = x; });
  for (const float x : {81.0f, -81.0f, kNaN}) refuses([&](auto& a) { a.offset = x; });
  for (const float x : {kNaN, INFINITY}) {
    refuses([&](auto& a) { a.prior_cosine = x; });
    refuses([&](auto& a) { a.exponent = x; });
    refuses([&](auto& a) { a.weight = x; });
    refuses([&](auto& a) { a.substitute_factor = x; });
  }
  genetic::JointPairsArgs least = good;
  least.counts = least.substitutes = {};
  least.prior = {};
  least.vectors = {};
  EXPECT_NO_THROW(genetic::joint_pairs(context(), least));
}

SHEAF_ON_EVERY_BACKEND(JointPairsTest);

}  // namespace
}  // namespace sheaf
