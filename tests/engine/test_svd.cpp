// Truncated singular value decompositions beside a full one in double precision.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "engine/models/truncated_svd.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

constexpr int64_t kSvdUsers = test::Planted::n_users, kSvdItems = test::Planted::n_items;

/// [rows, cols] in double.
struct Table {
  int64_t rows = 0, cols = 0;
  std::vector<double> values;

  double& operator()(int64_t r, int64_t c) { return values[static_cast<size_t>(r * cols + c)]; }
  double operator()(int64_t r, int64_t c) const { return values[static_cast<size_t>(r * cols + c)]; }
};

Table table_of(const HostCsr& csr) {
  Table out{csr.n_rows(), csr.n_columns, std::vector<double>(static_cast<size_t>(csr.n_rows() * csr.n_columns), 0.0)};
  for (int64_t r = 0; r < out.rows; ++r) {
    for (auto e = static_cast<size_t>(csr.row_offsets[static_cast<size_t>(r)]);
         e < static_cast<size_t>(csr.row_offsets[static_cast<size_t>(r) + 1]); ++e) {
      out(r, csr.columns[e]) = csr.values.empty() ? 1.0 : static_cast<double>(csr.values[e]);
    }
  }
  return out;
}

std::vector<float> means_of(const Table& a) {
  std::vector<float> means(static_cast<size_t>(a.cols));
  for (int64_t c = 0; c < a.cols; ++c) {
    double sum = 0.0;
    for (int64_t r = 0; r < a.rows; ++r) sum += a(r, c);
    means[static_cast<size_t>(c)] = static_cast<float>(sum / static_cast<double>(a.rows));
  }
  return means;
}

Table centred(Table a, const std::vector<float>& means) {
  for (int64_t r = 0; r < a.rows; ++r) {
    for (int64_t c = 0; c < a.cols; ++c) a(r, c) -= static_cast<double>(means[static_cast<size_t>(c)]);
  }
  return a;
}

/// All singular values, descending, and right singular vectors, by Jacobi's method of one side (Hestenes, 1958):
/// columns are turned in pairs until all are orthogonal.
struct FullSvd {
  std::vector<double> singular;
  Table right;  // [cols, cols], column k belongs to singular[k]
};

FullSvd full_svd(Table a) {
  Table v{a.cols, a.cols, std::vector<double>(static_cast<size_t>(a.cols * a.cols), 0.0)};
  for (int64_t i = 0; i < a.cols; ++i) v(i, i) = 1.0;
  for (int round = 0; round < 60; ++round) {
    double most = 0.0;
    for (int64_t p = 0; p < a.cols; ++p) {
      for (int64_t q = p + 1; q < a.cols; ++q) {
        double pp = 0.0, qq = 0.0, pq = 0.0;
        for (int64_t r = 0; r < a.rows; ++r) {
          pp += a(r, p) * a(r, p);
          qq += a(r, q) * a(r, q);
          pq += a(r, p) * a(r, q);
        }
        if (std::abs(pq) <= 1e-15 * std::sqrt(pp * qq) || pp * qq == 0.0) continue;
        most = std::max(most, std::abs(pq) / std::sqrt(pp * qq));
        const double zeta = (qq - pp) / (2.0 * pq);
        const double t = (zeta >= 0 ? 1.0 : -1.0) / (std::abs(zeta) + std::sqrt(1.0 + zeta * zeta));
        const double c = 1.0 / std::sqrt(1.0 + t * t), s = c * t;
        for (Table* m : {&a, &v}) {
          for (int64_t r = 0; r < m->rows; ++r) {
            const double x = (*m)(r, p), y = (*m)(r, q);
            (*m)(r, p) = c * x - s * y;
            (*m)(r, q) = s * x + c * y;
          }
        }
      }
    }
    if (most < 1e-14) break;
  }
  std::vector<double> lengths(static_cast<size_t>(a.cols), 0.0);
  for (int64_t r = 0; r < a.rows; ++r) {
    for (int64_t c = 0; c < a.cols; ++c) lengths[static_cast<size_t>(c)] += a(r, c) * a(r, c);
  }
  std::vector<int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(
      order, [&](int64_t x, int64_t y) { return lengths[static_cast<size_t>(x)] > lengths[static_cast<size_t>(y)]; });
  FullSvd out{{}, v};
  for (size_t k = 0; k < order.size(); ++k) {
    out.singular.push_back(std::sqrt(lengths[static_cast<size_t>(order[k])]));
    for (int64_t r = 0; r < a.cols; ++r) out.right(r, static_cast<int64_t>(k)) = v(r, order[k]);
  }
  return out;
}

/// How far products of floats move a matrix in the 2-norm: sums of at most max(rows, cols) + 1 terms of A and of an
/// orthonormal basis (|A| |V| in the Frobenius norm is at most |A|_F sqrt(k)), some four products deep.
double float_error(const Table& a, int64_t width) {
  double squares = 0.0;
  for (const double value : a.values) squares += value * value;
  return 4.0 * test::kRound * std::sqrt(squares * static_cast<double>(width)) *
         std::sqrt(static_cast<double>(std::max(a.rows, a.cols)));
}

/// V V^T of the first dim columns.
Table projector(const Table& right, int64_t dim) {
  Table out{right.rows, right.rows, std::vector<double>(static_cast<size_t>(right.rows * right.rows), 0.0)};
  for (int64_t i = 0; i < right.rows; ++i) {
    for (int64_t j = 0; j < right.rows; ++j) {
      for (int64_t k = 0; k < dim; ++k) out(i, j) += right(i, k) * right(j, k);
    }
  }
  return out;
}

class SvdTest : public test::OpTest {
 protected:
  /// Singular values, vectors as far as the gap below them says, and their orthogonality.
  void expect_right(const HostCsr& matrix, bool with_means, int64_t dim, int64_t iterations) {
    const Table plain = table_of(matrix);
    const std::vector<float> means = with_means ? means_of(plain) : std::vector<float>();
    const Table a = with_means ? centred(plain, means) : plain;
    const FullSvd full = full_svd(a);
    const TruncatedSvd got = truncated_svd(*make_context(1), matrix, means, dim, iterations, 7);
    ASSERT_EQ(got.dim, dim);
    ASSERT_EQ(got.right.size(), static_cast<size_t>(matrix.n_columns * dim));
    const double error = float_error(a, dim + 16);
    for (int64_t k = 0; k < dim; ++k) {
      EXPECT_NEAR(got.singular[static_cast<size_t>(k)], full.singular[static_cast<size_t>(k)], error) << k;
    }
    const Table right{matrix.n_columns, dim, test::to_double(got.right)};
    for (int64_t k = 0; k < dim; ++k) {
      for (int64_t l = 0; l <= k; ++l) {
        double product = 0.0;
        for (int64_t i = 0; i < right.rows; ++i) product += right(i, k) * right(i, l);
        EXPECT_NEAR(product, k == l ? 1.0 : 0.0, 1e-5) << k << ", " << l;
      }
    }
    // Wedin (1972): the subspace turns by at most the error over the gap.
    const double gap = full.singular[static_cast<size_t>(dim) - 1] - full.singular[static_cast<size_t>(dim)];
    ASSERT_GT(gap, 20 * error);
    const Table expected = projector(full.right, dim), found = projector(right, dim);
    for (size_t at = 0; at < expected.values.size(); ++at) {
      ASSERT_NEAR(found.values[at], expected.values[at], 2.0 * error / gap + 1e-5) << at;
    }
  }

  std::vector<float> scores(const Recommender& model, const Queries& queries) {
    Buffer<float> out(context(), queries.n() * kSvdItems);
    model.scorer(context())->all_scores(context(), queries, 0, out.matrix(queries.n(), kSvdItems));
    return out.to_host();
  }

  test::ModelData data_;
};

TEST(SymmetricEigen, VectorsAndValuesAreThoseOfTheMatrix) {
  for (const int64_t n : {1, 2, 5, 40}) {
    std::vector<double> matrix = test::to_double(test::random_floats(n * n, 80));
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t c = 0; c < r; ++c) matrix[static_cast<size_t>(r * n + c)] = matrix[static_cast<size_t>(c * n + r)];
    }
    const Eigen eigen = symmetric_eigen(n, matrix);
    EXPECT_TRUE(std::ranges::is_sorted(eigen.values, std::ranges::greater{}));
    for (int64_t k = 0; k < n; ++k) {
      const double* v = eigen.vectors.data() + k * n;
      for (int64_t r = 0; r < n; ++r) {
        double product = 0.0;
        for (int64_t c = 0; c < n; ++c) product += matrix[static_cast<size_t>(r * n + c)] * v[c];
        EXPECT_NEAR(product, eigen.values[static_cast<size_t>(k)] * v[r], 1e-12 * static_cast<double>(n));
      }
      for (int64_t l = 0; l <= k; ++l) {
        const double product = std::inner_product(v, v + n, eigen.vectors.data() + l * n, 0.0);
        EXPECT_NEAR(product, k == l ? 1.0 : 0.0, 1e-12);
      }
    }
  }
  EXPECT_TRUE(symmetric_eigen(0, {}).values.empty());
}

// A subspace that holds everything, and one that finds the largest among more.
TEST_P(SvdTest, SingularValuesAndVectorsOfAFullDecomposition) {
  const HostCsr small = test::engine_csr(test::random_csr(30, 12, 8, 81, true));
  const HostCsr wide = test::engine_csr(test::random_csr(25, 60, 20, 82, true));
  const HostCsr tall = test::engine_csr(test::random_csr(70, 45, 20, 83, true));
  for (const bool with_means : {false, true}) {
    expect_right(small, with_means, 5, 2);
    expect_right(wide, with_means, 4, 30);
    expect_right(tall, with_means, 3, 30);
  }
}

TEST_P(SvdTest, NoMoreThanTheMatrixHas) {
  // Three kinds of rows.
  const HostCsr matrix = test::pattern({{0, 1}, {2}, {3, 4}, {0, 1}, {2}, {3, 4}, {0, 1}}, 6);
  const TruncatedSvd got = truncated_svd(context(), matrix, {}, 6, 4, 1);
  ASSERT_EQ(got.dim, 3);
  EXPECT_NEAR(got.singular[0], std::sqrt(6.0), 1e-6);
  EXPECT_NEAR(got.singular[1], 2.0, 1e-6);
  EXPECT_NEAR(got.singular[2], std::sqrt(2.0), 1e-6);
  // Beside their mean they span two dimensions.
  EXPECT_EQ(truncated_svd(context(), matrix, means_of(table_of(matrix)), 6, 4, 1).dim, 2);
  EXPECT_EQ(truncated_svd(context(), test::pattern({{}, {}}, 3), {}, 2, 2, 1).dim, 0);
}

TEST_P(SvdTest, ScoresAreThoseOfTheNearestMatrixOfThatRank) {
  const auto n = std::ssize(data_.purchases.train.columns);
  data_.purchases.train.values = test::random_floats(n, 84, 0.05f, 1.0f);
  std::ranges::transform(test::random_ints(n, 85, 1, 6), data_.purchases.train_counts.values.begin(),
                         [](int32_t count) { return static_cast<float>(count); });
  for (const bool is_centred : {false, true}) {
    const int64_t dim = is_centred ? 1 : 2;  // the gap is below the two planted tastes, of which the mean is one
    for (const auto& [weight, power] : {std::pair<std::string, double>{"log", 0.0}, {"one", 0.7}, {"recency", -0.5}}) {
      SCOPED_TRACE(weight + (is_centred ? ", centred" : ""));
      auto model = make_recommender("svd");
      apply_settings(model->settings(), {{"svd.dim", dim},
                                         {"svd.weight", weight},
                                         {"svd.scale", power},
                                         {"svd.centred", is_centred},
                                         {"svd.iterations", int64_t{20}}});
      model->fit(*make_context(1), data_.view(), {});
      HostCsr weights = data_.purchases.train;
      for (size_t e = 0; e < weights.values.size(); ++e) {
        if (weight == "one") weights.values[e] = 1.0f;
        if (weight == "log") weights.values[e] = std::log1p(data_.purchases.train_counts.values[e]);
      }
      Table a = table_of(weights);
      std::vector<double> lengths(static_cast<size_t>(kSvdItems), 0.0);
      for (int64_t c = 0; c < kSvdItems; ++c) {
        double squares = 0.0;
        for (int64_t r = 0; r < kSvdUsers; ++r) squares += a(r, c) * a(r, c);
        lengths[static_cast<size_t>(c)] = squares > 0.0 ? std::pow(std::sqrt(squares), power) : 1.0;
        for (int64_t r = 0; r < kSvdUsers; ++r) a(r, c) /= lengths[static_cast<size_t>(c)];
      }
      const std::vector<float> means = is_centred ? means_of(a) : std::vector<float>(static_cast<size_t>(kSvdItems));
      a = centred(a, means);
      const FullSvd full = full_svd(a);
      const double gap = full.singular[static_cast<size_t>(dim) - 1] - full.singular[static_cast<size_t>(dim)];
      const double error = 2.0 * float_error(a, dim + 16) / gap + 1e-5;
      ASSERT_LT(error, 1e-3);
      const Table p = projector(full.right, dim);
      const std::vector<float> got = scores(*model, Queries::everyone(context(), kSvdUsers));
      for (int64_t u = 0; u < kSvdUsers; ++u) {
        double length = 0.0;
        for (int64_t c = 0; c < kSvdItems; ++c) length += a(u, c) * a(u, c);
        for (int64_t i = 0; i < kSvdItems; ++i) {
          double score = static_cast<double>(means[static_cast<size_t>(i)]);
          for (int64_t c = 0; c < kSvdItems; ++c) score += a(u, c) * p(c, i);
          const double by = lengths[static_cast<size_t>(i)];
          ASSERT_NEAR(got[static_cast<size_t>(u * kSvdItems + i)], score * by, error * (std::sqrt(length) + 1.0) * by)
              << u << ", " << i;
        }
      }
    }
  }
}

TEST_P(SvdTest, StrangersWithAUsersPurchasesAreThatUser) {
  for (const bool is_centred : {false, true}) {
    auto model = make_recommender("svd");
    apply_settings(model->settings(), {{"svd.dim", int64_t{5}}, {"svd.scale", 0.4}, {"svd.centred", is_centred}});
    model->fit(context(), data_.view(), {});
    EXPECT_TRUE(test::same_bits(scores(*model, Queries(context(), data_.purchases.train)),
                                scores(*model, Queries::everyone(context(), kSvdUsers))));
  }
}

TEST_P(SvdTest, ValidationChoosesHowMany) {
  const auto fit = [&](int64_t dim, FitReport& report) {
    auto model = make_recommender("svd");
    apply_settings(model->settings(), {{"svd.dim", dim}, {"svd.iterations", int64_t{10}}});
    report = model->fit(context(), data_.view(), {});
    return model;
  };
  FitReport report, alone;
  const auto model = fit(0, report);
  const EpochReport& best = report.epochs[static_cast<size_t>(report.best_epoch) - 1];
  for (const EpochReport& epoch : report.epochs) EXPECT_LE(epoch.validation_ndcg, best.validation_ndcg);
  const auto dim = static_cast<int64_t>(report.chosen.at("dim"));
  EXPECT_EQ(best.what, "svd.dim = " + std::to_string(dim));
  fit(dim, alone);
  EXPECT_NEAR(alone.epochs[0].validation_ndcg, best.validation_ndcg, 1e-3);
  // The data has 40 items: no more than so many singular values.
  EXPECT_EQ(Tensors(model->tensors()).matrix_shape("right").second, std::min(dim, kSvdItems));
}

TEST_P(SvdTest, UsersThatAreAllAlikeHaveNoComponents) {
  std::vector<std::vector<int32_t>> same(static_cast<size_t>(kSvdUsers), {1, 5});
  data_.purchases.train = test::pattern(same, kSvdItems);
  data_.purchases.train.values.assign(data_.purchases.train.columns.size(), 1.0f);
  data_.purchases.train_counts = data_.purchases.train;
  auto model = make_recommender("svd");
  apply_settings(model->settings(), {{"svd.dim", int64_t{5}}, {"svd.centred", true}});
  EXPECT_THROW(model->fit(context(), data_.view(), {}), DataError);
  apply_settings(model->settings(), {{"svd.centred", false}});
  EXPECT_NO_THROW(model->fit(context(), data_.view(), {}));
}

SHEAF_ON_EVERY_BACKEND(SvdTest);

}  // namespace
}  // namespace sheaf
