// Neighbours among users and items, and the models made of them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/associate/item_neighbours.hpp"
#include "engine/associate/similar_users.hpp"
#include "engine/scoring/product_scorer.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

using Dense = std::vector<std::vector<double>>;

Dense dense_of(const HostCsr& csr) {
  Dense rows(static_cast<size_t>(csr.n_rows()), std::vector<double>(static_cast<size_t>(csr.n_columns), 0.0));
  for (int64_t r = 0; r < csr.n_rows(); ++r) {
    for (int64_t e = csr.row_offsets[static_cast<size_t>(r)]; e < csr.row_offsets[static_cast<size_t>(r) + 1]; ++e) {
      rows[static_cast<size_t>(r)][static_cast<size_t>(csr.columns[static_cast<size_t>(e)])] =
          csr.values.empty() ? 1.0 : static_cast<double>(csr.values[static_cast<size_t>(e)]);
    }
  }
  return rows;
}

/// Likeness of two users by its definition: rates of both, and of all users to know how rare an item is.
double likeness(const Dense& rates, size_t a, size_t b) {
  const auto n = static_cast<double>(rates.size());
  double product = 0.0, squares_a = 0.0, squares_b = 0.0;
  for (size_t i = 0; i < rates[0].size(); ++i) {
    double buyers = 0.0;
    for (const auto& row : rates) buyers += row[i] > 0.0 ? 1.0 : 0.0;
    const double rarity = std::max(0.0, std::log(n / (1.0 + buyers)));
    const double x = std::sqrt(rates[a][i]) * rarity, y = std::sqrt(rates[b][i]) * rarity;
    product += x * y;
    squares_a += x * x;
    squares_b += y * y;
  }
  return product > 0.0 ? product / std::sqrt(squares_a * squares_b) : 0.0;
}

class KnnTest : public test::OpTest {
 protected:
  std::vector<float> all(const Scorer& scorer, const Queries& queries) {
    Buffer<float> scores(context(), queries.n() * scorer.n_items());
    scorer.all_scores(context(), queries, 0, scores.matrix(queries.n(), scorer.n_items()));
    return scores.to_host();
  }
};

TEST_P(KnnTest, RatesByHand) {
  // User 0: item 0 on days 0 and 10, item 1 on day 10 and on day 30, which is later than what is asked for.
  const BasketHistory history{test::pattern({{0}, {0, 1}, {1}, {2}}, 3), {0, 0, 0, 1}, {0, 864000, 2592000, 864000}, 2};
  const HostCsr rates = basket_rates(history, 20.0, 10.0);
  const Dense r = dense_of(rates);
  const double n = 0.25 + 0.5 + 1.0;  // baskets 20 and 10 days ago
  EXPECT_NEAR(r[0][0], 0.75 / n, 1e-7);
  EXPECT_NEAR(r[0][1], 0.5 / n, 1e-7);
  EXPECT_NEAR(r[1][2], 0.5 / 1.5, 1e-7);
  EXPECT_EQ(rates.nnz(), 3);
}

TEST_P(KnnTest, NeighboursAreTheMostAlike) {
  const HostCsr rates = test::engine_csr(test::random_csr(40, 25, 12, 3, true));
  HostCsr positive = rates;
  for (float& v : positive.values) v = std::abs(v) + 0.01f;
  const Dense r = dense_of(positive);
  const HostCsr found = similar_users(context(), positive, positive, 7, true);
  for (size_t u = 0; u < 40; ++u) {
    std::vector<double> others;
    for (size_t v = 0; v < 40; ++v) {
      if (v != u) others.push_back(likeness(r, u, v));
    }
    std::ranges::sort(others, std::ranges::greater{});
    const auto row = found.row(static_cast<int64_t>(u));
    const auto alike = static_cast<size_t>(std::ranges::count_if(others, [](double is) { return is > 1e-9; }));
    ASSERT_EQ(row.size(), std::min<size_t>(7, alike));
    double least = 1e9;
    for (size_t e = 0; e < row.size(); ++e) {
      const double is = likeness(r, u, static_cast<size_t>(row[e]));
      const double said = found.values[static_cast<size_t>(found.row_offsets[u]) + e];
      EXPECT_NE(row[e], static_cast<int32_t>(u));
      EXPECT_NEAR(said, is, 1e-5);
      least = std::min(least, is);
    }
    if (!row.empty()) {
      EXPECT_GE(least, others[row.size() - 1] - 1e-5);
    }
  }
  // Rows of their own: the user itself is the most alike.
  const HostCsr again = similar_users(context(), row_block(positive, 5, 1), positive, 1, false);
  ASSERT_EQ(again.columns, std::vector<int32_t>{5});
  EXPECT_NEAR(again.values[0], 1.0, 1e-5);
  EXPECT_EQ(similar_users(context(), row_block(positive, 0, 2), test::pattern({}, 25), 3, false).nnz(), 0);
}

TEST_P(KnnTest, UserKnnIsItsFormula) {
  const test::ModelData data;
  auto model = make_recommender("user-knn");
  apply_settings(model->settings(),
                 {{"user-knn.weight", 0.7}, {"user-knn.neighbours", int64_t{9}}, {"user-knn.half_life_days", 20.0}});
  model->fit(context(), data.view(), {});
  const int64_t n_users = model->n_users(), n_items = model->n_items();
  const BasketHistory history = training_baskets(data.purchases, n_users);
  const HostCsr rates = basket_rates(history, history.last_day(), 20.0);
  const Dense r = dense_of(rates), s = dense_of(similar_users(context(), rates, rates, 9, true));
  double total = 0.0;
  std::vector<double> share(static_cast<size_t>(n_items), 0.0);
  for (const auto& row : r) {
    for (size_t i = 0; i < row.size(); ++i) {
      share[i] += row[i];
      total += row[i];
    }
  }
  const std::vector<float> scores = all(*model->scorer(context()), Queries::everyone(context(), n_users));
  for (size_t u = 0; u < static_cast<size_t>(n_users); ++u) {
    for (size_t i = 0; i < static_cast<size_t>(n_items); ++i) {
      double mean = 0.0, weights = 0.0;
      for (size_t v = 0; v < s[u].size(); ++v) {
        mean += s[u][v] * r[v][i];
        weights += s[u][v];
      }
      const double expected = r[u][i] + 0.7 * mean / weights + 1e-3 * share[i] / total;
      EXPECT_NEAR(scores[u * static_cast<size_t>(n_items) + i], expected, 1e-5) << u << ", " << i;
    }
  }
}

TEST_P(KnnTest, ItemKnnIsItsFormula) {
  const test::ModelData data;
  auto model = make_recommender("item-knn");
  apply_settings(model->settings(), {{"item-knn.neighbours", int64_t{5}}, {"item-knn.shrink", 2.0}});
  model->fit(context(), data.view(), {});
  const Dense weights = dense_of(data.purchases.train);
  Dense x = dense_of(data.purchases.train_counts);
  for (auto& row : x) {
    for (double& value : row) value = std::log1p(value);
  }
  const size_t n_users = x.size(), n_items = x[0].size();
  Dense similarity(n_items, std::vector<double>(n_items, 0.0));  // of what is recommended, to what was bought
  for (size_t i = 0; i < n_items; ++i) {
    std::vector<std::pair<double, size_t>> others;
    for (size_t j = 0; j < n_items; ++j) {
      double product = 0.0, a = 0.0, b = 0.0;
      for (size_t u = 0; u < n_users; ++u) {
        product += x[u][i] * x[u][j];
        a += x[u][i] * x[u][i];
        b += x[u][j] * x[u][j];
      }
      if (j != i && product > 0.0) others.emplace_back(product / (std::sqrt(a) * std::sqrt(b) + 2.0), j);
    }
    std::ranges::sort(others, [](const auto& p, const auto& q) {
      return p.first != q.first ? p.first > q.first : p.second < q.second;
    });
    for (size_t e = 0; e < std::min<size_t>(5, others.size()); ++e) similarity[i][others[e].second] = others[e].first;
    similarity[i][i] = 1.0;
  }
  const std::vector<float> scores =
      all(*model->scorer(context()), Queries::everyone(context(), static_cast<int64_t>(n_users)));
  for (size_t u = 0; u < n_users; ++u) {
    for (size_t i = 0; i < n_items; ++i) {
      double expected = 0.0;
      for (size_t j = 0; j < n_items; ++j) expected += weights[u][j] * similarity[i][j];
      EXPECT_NEAR(scores[u * n_items + i], expected, 1e-4 * (1.0 + expected)) << u << ", " << i;
    }
  }
}

TEST_P(KnnTest, AProductOfSparseMatrices) {
  const HostCsr rows = test::engine_csr(test::random_csr(4, 6, 3, 1, true)),
                right = test::engine_csr(test::random_csr(6, 30, 8, 2, true)),
                strangers = test::engine_csr(test::random_csr(3, 6, 2, 3, true));
  const std::vector<float> bias = test::random_floats(30, 4);
  const ProductScorer scorer(context(), {.rows = rows,
                                         .right = right,
                                         .item_bias = bias,
                                         .rows_of_strangers = [&](Context&, const Queries&, int64_t first, int64_t n) {
                                           return row_block(strangers, first, n);
                                         }});
  const auto check = [&](const HostCsr& left, const std::vector<float>& scores, int64_t first) {
    const Dense a = dense_of(left), b = dense_of(right);
    for (size_t at = 0; at < scores.size(); ++at) {
      double expected = static_cast<double>(bias[at % 30]);
      for (size_t c = 0; c < 6; ++c) expected += a[static_cast<size_t>(first) + at / 30][c] * b[c][at % 30];
      EXPECT_NEAR(scores[at], expected, 1e-5);
    }
  };
  check(rows, all(scorer, Queries::everyone(context(), 4)), 0);
  const Queries unknown(context(), test::pattern({{1}, {2, 3}, {4}}, 30));
  check(strangers, all(scorer, unknown), 0);
  Buffer<float> part(context(), 2 * 30);
  scorer.all_scores(context(), unknown, 1, part.matrix(2, 30));
  check(strangers, part.to_host(), 1);
  const ProductScorer known_alone(context(), {.rows = rows, .right = right});
  EXPECT_THROW(known_alone.all_scores(context(), unknown, 1, part.matrix(2, 30)), UsageError);
  EXPECT_THROW(ProductScorer(context(), {.rows = rows, .right = test::pattern({{0}}, 30)}), UsageError);
  EXPECT_THROW(ProductScorer(context(), {.rows = rows, .item_bias = bias}), UsageError);
}

SHEAF_ON_EVERY_BACKEND(KnnTest);

}  // namespace
}  // namespace sheaf
