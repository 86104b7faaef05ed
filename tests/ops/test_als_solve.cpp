#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string_view>
#include <vector>

#include "kernels/core/error.hpp"
#include "kernels/sparse/als_solve.hpp"
#include "kernels/sparse/als_system.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
#include "tests/reference/dense.hpp"
#include "tests/reference/sparse.hpp"

namespace sheaf {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  test::HostCsr rows;
  std::vector<float> targets;
  int64_t dim = 0;
  std::vector<float> items;
  std::vector<double> gram;
  double l2 = 0.5;
  float alpha = 3.0f;
};

struct Result {
  std::vector<float> out;
  int32_t failed = 0;
};

Result run(Context& context, const Case& c) {
  const test::DeviceCsr rows(context, c.rows);
  test::Guarded<float> targets(context, c.targets), items(context, c.items), out(context, c.rows.n_rows() * c.dim);
  test::Guarded<double> gram(context, c.gram);
  test::Guarded<int32_t> failed(context, std::vector<int32_t>{-7});
  sparse::als_solve(context, {.rows = rows.view(),
                              .targets = targets.view(),
                              .items = items.matrix(c.rows.n_columns, c.dim),
                              .gram = gram.matrix(c.dim, c.dim),
                              .l2 = c.l2,
                              .alpha = c.alpha,
                              .out = out.matrix(c.rows.n_rows(), c.dim),
                              .failed = failed.view()});
  out.expect_intact();
  failed.expect_intact();
  return {out.to_host(), failed.to_host()[0]};
}

/// Rows of the given lengths over n_columns items; weights in [0.1, 2).
Case with_lengths(const std::vector<int64_t>& lengths, int64_t n_columns, int64_t dim, uint32_t seed,
                  bool weighted = true) {
  Case c;
  c.dim = dim;
  c.rows.n_columns = n_columns;
  for (size_t r = 0; r < lengths.size(); ++r) {
    std::vector<int32_t> all(static_cast<size_t>(n_columns));
    std::iota(all.begin(), all.end(), 0);
    std::mt19937 engine(seed + static_cast<uint32_t>(r));
    std::shuffle(all.begin(), all.end(), engine);
    all.resize(static_cast<size_t>(lengths[r]));
    std::ranges::sort(all);
    c.rows.columns.insert(c.rows.columns.end(), all.begin(), all.end());
    c.rows.row_offsets.push_back(std::ssize(c.rows.columns));
  }
  if (weighted) c.rows.values = test::random_floats(std::ssize(c.rows.columns), seed + 1000, 0.1f, 2.0f);
  c.items = test::random_floats(n_columns * dim, seed + 2000);
  c.gram = ref::gram(n_columns, dim, c.items).value;
  return c;
}

void expect_right(Context& context, const Case& c) {
  const Result got = run(context, c);
  EXPECT_EQ(got.failed, 0);
  const ref::BoundedRows expected =
      ref::als_solve(c.rows, c.targets, c.items, c.dim, c.l2, static_cast<double>(c.alpha));
  ASSERT_EQ(got.out.size(), expected.value.size());
  for (size_t at = 0; at < got.out.size(); ++at) {
    const auto r = static_cast<size_t>(static_cast<int64_t>(at) / c.dim);
    ASSERT_NEAR(got.out[at], expected.value[at], expected.bound[at])
        << c.dim << " dimensions, row " << r << " of " << c.rows.row_offsets[r + 1] - c.rows.row_offsets[r]
        << " entries, component " << static_cast<int64_t>(at) % c.dim;
  }
}

class AlsSolveTest : public test::OpTest {};

// Both systems on both sides of every border: entries fewer than dimensions and not, tiles of 64, pieces of 256
// entries, vectors of 16, blocks of 4 pivots, systems in shared memory up to 179 dimensions.
TEST_P(AlsSolveTest, AgreesWithOracle) {
  for (const int64_t dim : {1, 2, 7, 16, 33, 64}) {
    expect_right(context(), with_lengths({0, 1, 2, 5, 12, 13, 31, 63, 64, 65, 90, dim, std::max<int64_t>(0, dim - 1)},
                                         100, dim, 400));
  }
  expect_right(context(), with_lengths({1, 70, 127, 128, 140}, 150, 128, 401));
  expect_right(context(), with_lengths({3, 199, 205, 210}, 230, 200, 402));
}

TEST_P(AlsSolveTest, TheWidestVectors) { expect_right(context(), with_lengths({2, 255, 256}, 270, 256, 403)); }

TEST_P(AlsSolveTest, LongRowsBesideShortAndEmptyOnes) {
  expect_right(context(), with_lengths({0, 255, 256, 257, 0, 600, 1, 0}, 700, 20, 404));
}

TEST_P(AlsSolveTest, WithoutValuesEveryWeightIsOne) {
  Case c = with_lengths({0, 1, 9, 40}, 50, 12, 405, false);
  expect_right(context(), c);
  const Result pattern = run(context(), c);
  c.rows.values.assign(c.rows.columns.size(), 1.0f);
  EXPECT_TRUE(test::same_bits(run(context(), c).out, pattern.out));
}

TEST_P(AlsSolveTest, TargetsOfTheirOwn) {
  Case c = with_lengths({0, 1, 9, 25, 40}, 50, 24, 414);
  c.targets = test::random_floats(c.rows.row_offsets.back(), 415);
  c.targets[3] = 0.0f;
  expect_right(context(), c);
  c.targets.pop_back();
  EXPECT_THROW(run(context(), c), UsageError);
}

TEST_P(AlsSolveTest, StrongWeightsAndWeakRegularisation) {
  for (const float alpha : {1e-3f, 1.0f, 40.0f, 1000.0f}) {
    Case c = with_lengths({1, 5, 30, 80}, 90, 24, 406);
    c.alpha = alpha;
    c.l2 = 1e-3;
    expect_right(context(), c);
  }
}

// The Gram matrix of nearly dependent columns has a condition number of 1e10: what the whitening is for.
TEST_P(AlsSolveTest, NearlyDependentDimensions) {
  Case c = with_lengths({1, 6, 20, 80}, 200, 10, 407);
  for (int64_t i = 0; i < 200; ++i) {
    float* row = c.items.data() + i * 10;
    for (int64_t k = 1; k < 10; ++k) row[k] = row[0] + 1e-4f * row[k];
  }
  c.gram = ref::gram(200, 10, c.items).value;
  c.l2 = 1e-8;
  const Result got = run(context(), c);
  EXPECT_EQ(got.failed, 0);
  // The scores are what counts: x y of all items, beside those of the oracle, in whose norm errors do not grow.
  const ref::BoundedRows expected =
      ref::als_solve(c.rows, c.targets, c.items, c.dim, c.l2, static_cast<double>(c.alpha));
  for (int64_t r = 0; r < c.rows.n_rows(); ++r) {
    for (int64_t i = 0; i < 200; ++i) {
      double score = 0.0, right = 0.0, size = 0.0;
      for (int64_t k = 0; k < 10; ++k) {
        const double y = c.items[static_cast<size_t>(i * 10 + k)];
        score += y * static_cast<double>(got.out[static_cast<size_t>(r * 10 + k)]);
        right += y * expected.value[static_cast<size_t>(r * 10 + k)];
        size += std::abs(y * expected.value[static_cast<size_t>(r * 10 + k)]);
      }
      // Rounding x to float moves a score by u |x| |y|; e_z and the rounding of V by less than 1e-4 of |z| < 10.
      ASSERT_NEAR(score, right, 1.01 * test::kRound * size + 1e-4) << "row " << r << ", item " << i;
    }
  }
}

TEST_P(AlsSolveTest, ByHand) {
  // One dimension: (y0^2 + y1^2 + l2 + alpha w y1^2) x = (1 + alpha w) y1.
  Case c;
  c.dim = 1;
  c.rows.n_columns = 2;
  c.rows.row_offsets = {0, 1};
  c.rows.columns = {1};
  c.rows.values = {2.0f};
  c.items = {1.0f, 2.0f};
  c.gram = {5.0};
  c.l2 = 1.0;
  c.alpha = 0.5f;
  EXPECT_NEAR(run(context(), c).out[0], 4.0 / 10.0, 1e-6);
}

TEST_P(AlsSolveTest, TheSameBitsOnAnyThreadsAndRuns) {
  const Case c = with_lengths(std::vector<int64_t>(150, 30), 120, 32, 408);
  const Result first = run(context(), c);
  for (const int n_threads : {1, 2, 5}) EXPECT_TRUE(test::same_bits(run(*make_context(n_threads), c).out, first.out));
}

TEST_P(AlsSolveTest, NothingToDo) {
  Case none = with_lengths({}, 5, 3, 409);
  EXPECT_TRUE(run(context(), none).out.empty());
  // Rows over no items at all.
  Case empty = with_lengths({0, 0}, 0, 3, 410);
  EXPECT_EQ(run(context(), empty).out, std::vector<float>(6, 0.0f));
}

TEST_P(AlsSolveTest, NaNStaysWithTheRowsThatNameIt) {
  Case c = with_lengths({3, 4}, 20, 6, 411);
  c.rows.columns = {0, 3, 5, 1, 2, 4, 6};
  c.items[3 * 6 + 2] = kNan;  // after the Gram matrix was made
  const Result got = run(context(), c);
  EXPECT_TRUE(std::isnan(got.out[0]));
  for (size_t k = 6; k < 12; ++k) EXPECT_TRUE(std::isfinite(got.out[k]));
}

TEST_P(AlsSolveTest, SaysWhichPivotFails) {
  Case c = with_lengths({2}, 6, 3, 412);
  c.l2 = 0.0;
  c.gram = {1, 1, 0, 1, 1, 0, 0, 0, 1};  // singular, exactly
  EXPECT_EQ(run(context(), c).failed, 2);
  c.gram = {std::nan(""), 0, 0, 0, 1, 0, 0, 0, 1};
  EXPECT_EQ(run(context(), c).failed, 1);
  c.gram = {1, 0, 0, 0, 1, 0, 0, 0, std::numeric_limits<double>::infinity()};
  EXPECT_EQ(run(context(), c).failed, 3);
}

TEST_P(AlsSolveTest, ArgumentsMustFit) {
  const Case good = with_lengths({2, 3}, 6, 4, 413);
  Case c = good;
  c.alpha = 0.0f;
  EXPECT_THROW(run(context(), c), UsageError);
  c.alpha = std::numeric_limits<float>::infinity();
  EXPECT_THROW(run(context(), c), UsageError);
  c = good;
  c.l2 = -1e-9;
  EXPECT_THROW(run(context(), c), UsageError);
  const test::DeviceCsr rows(context(), good.rows);
  test::Guarded<float> x(context(), 6 * 257);
  test::Guarded<double> gram(context(), 257 * 257);
  test::Guarded<int32_t> failed(context(), 2);
  const sparse::AlsSolveArgs fits{.rows = rows.view(),
                                  .items = x.matrix(6, 4),
                                  .gram = gram.matrix(4, 4),
                                  .out = x.matrix(2, 4),
                                  .failed = failed.view().subview(0, 1)};
  sparse::AlsSolveArgs args = fits;
  args.items = x.matrix(5, 4);
  EXPECT_THROW(sparse::als_solve(context(), args), UsageError);
  args = fits;
  args.gram = gram.matrix(4, 3);
  EXPECT_THROW(sparse::als_solve(context(), args), UsageError);
  args = fits;
  args.out = x.matrix(3, 4);
  EXPECT_THROW(sparse::als_solve(context(), args), UsageError);
  args = fits;
  args.failed = failed.view();
  EXPECT_THROW(sparse::als_solve(context(), args), UsageError);
  args = fits;
  args.items = x.matrix(6, 257);
  args.gram = gram.matrix(257, 257);
  args.out = x.matrix(2, 257);
  EXPECT_THROW(sparse::als_solve(context(), args), UsageError);
}

SHEAF_ON_EVERY_BACKEND(AlsSolveTest);

// Every instruction set of this machine, for whole and broken vectors, beside double precision.
TEST(AlsSystemTest, AllInstructionSetsSolveTheSystem) {
  using namespace sparse::cpu;
  const AlsSystemLoops* usable[3];
  const int32_t n_usable = usable_als_systems(usable, 3);
  ASSERT_GE(n_usable, 1);
  std::vector<std::vector<float>> solutions[3];
  for (int32_t u = 0; u < n_usable; ++u) {
    const AlsSystemLoops& loops = *usable[u];
    for (const int64_t m : {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 33, 64, 100}) {
      const int64_t n_terms = m + 7, width = padded_to_lanes(m), stride = padded_to_lanes(m + 1);
      // T^T T, once from terms with rows of their own, in two parts, and once from the rows of T^T.
      const std::vector<float> terms = test::random_floats(n_terms * width, 416);
      std::vector<float> rows(static_cast<size_t>(m * n_terms)), right = test::random_floats(m, 417);
      for (int64_t t = 0; t < n_terms; ++t) {
        for (int64_t i = 0; i < m; ++i) {
          rows[static_cast<size_t>(i * n_terms + t)] = terms[static_cast<size_t>(t * width + i)];
        }
      }
      for (const bool by_rows : {false, true}) {
        std::vector<float> a(static_cast<size_t>(width * stride), kNan), x(static_cast<size_t>(width), kNan);
        std::vector<float> panels(static_cast<size_t>(width * n_terms), kNan);
        const AlsSystem system{a.data(), m, stride};
        if (by_rows) {
          loops.multiply_rows(system, rows.data(), n_terms, panels.data());
        } else {
          loops.add_terms(system, terms.data(), 3, false);
          loops.add_terms(system, terms.data() + 3 * width, n_terms - 3, true);
        }
        std::vector<double> made(static_cast<size_t>(m * m), 0.0);
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = i; j < m; ++j) {
            double sum = 0.0, size = 0.0;
            for (int64_t t = 0; t < n_terms; ++t) {
              const double term = static_cast<double>(rows[static_cast<size_t>(i * n_terms + t)]) *
                                  static_cast<double>(rows[static_cast<size_t>(j * n_terms + t)]);
              sum += term;
              size += std::abs(term);
            }
            ASSERT_NEAR(system.row(i)[j], sum, static_cast<double>(n_terms + 1) * test::kRound * size)
                << loops.name << ", " << m << ": " << i << ", " << j;
          }
          float* row = system.row(i);
          row[i] += 1.0f;
          row[m] = right[static_cast<size_t>(i)];
          std::fill(row + m + 1, row + stride, 0.0f);
          for (int64_t j = i; j < m; ++j) {
            made[static_cast<size_t>(i * m + j)] = made[static_cast<size_t>(j * m + i)] = static_cast<double>(row[j]);
          }
        }
        loops.solve(system, x.data());
        solutions[u].emplace_back(x.begin(), x.begin() + m);
        // What is left of the right side is at most (3 m + 1) u |R|^T |R| |x| (Higham, theorem 10.4), and an element of
        // |R|^T |R| is at most the largest of the matrix (Cauchy and Schwarz).
        double largest = 0.0, length = 0.0;
        for (int64_t i = 0; i < m; ++i) {
          largest = std::max(largest, made[static_cast<size_t>(i * m + i)]);
          length += std::abs(static_cast<double>(x[static_cast<size_t>(i)]));
        }
        for (int64_t i = 0; i < m; ++i) {
          double left = static_cast<double>(right[static_cast<size_t>(i)]);
          for (int64_t j = 0; j < m; ++j) {
            left -= made[static_cast<size_t>(i * m + j)] * static_cast<double>(x[static_cast<size_t>(j)]);
          }
          ASSERT_LE(std::abs(left), 4.0 * static_cast<double>(m + 1) * test::kRound * largest * length)
              << loops.name << ", " << m << ", equation " << i;
        }
      }
    }
    // With fused multiply-adds the bits are the same.
    if (u > 0 && std::string_view(loops.name) != "portable") {
      for (size_t i = 0; i < solutions[0].size(); ++i) EXPECT_TRUE(test::same_bits(solutions[u][i], solutions[0][i]));
    }
  }
}

}  // namespace
}  // namespace sheaf
