// Weights and samples against unbalanced data: each does what it says.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/train/pair_step.hpp"
#include "engine/train/sampled_epoch.hpp"
#include "tests/common/op_test.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf {
namespace {

/// Item i is bought by users 0 .. buyers[i] - 1.
HostCsr bought_by(const std::vector<int64_t>& buyers, int64_t n_users) {
  HostCsr rows;
  rows.n_columns = std::ssize(buyers);
  for (int64_t u = 0; u < n_users; ++u) {
    for (size_t i = 0; i < buyers.size(); ++i) {
      if (u < buyers[i]) rows.columns.push_back(static_cast<int32_t>(i));
    }
    rows.row_offsets.push_back(rows.nnz());
  }
  return rows;
}

class ClassImbalanceTest : public test::OpTest {};

TEST_P(ClassImbalanceTest, RareItemsAreDrawnByAPowerOfTheirCounts) {
  const std::vector<int64_t> buyers{64, 16, 4, 1};
  const HostCsr bought = bought_by(buyers, 64);
  for (const double power : {0.5, 1.0}) {
    double total = 0.0;
    for (const int64_t n : buyers) total += std::pow(static_cast<double>(n), 1.0 - power);
    const std::vector<int64_t> drawn = resampled_purchases(bought, power, 9);
    ASSERT_EQ(std::ssize(drawn), bought.nnz());
    EXPECT_TRUE(std::ranges::is_sorted(drawn));
    std::vector<double> of_purchase(drawn.size(), 0.0);
    for (const int64_t e : drawn) of_purchase[static_cast<size_t>(e)] += 1.0;
    for (size_t e = 0; e < of_purchase.size(); ++e) {
      const auto n = static_cast<double>(buyers[static_cast<size_t>(bought.columns[e])]);
      const double expected = static_cast<double>(bought.nnz()) * std::pow(n, -power) / total;
      EXPECT_LT(std::abs(of_purchase[e] - expected), 1.0) << e << ", power " << power;
    }
  }
  EXPECT_EQ(resampled_purchases(bought, 1.0, 9), resampled_purchases(bought, 1.0, 9));
  EXPECT_NE(resampled_purchases(bought, 1.0, 9), resampled_purchases(bought, 1.0, 10));
  TrainParams params;
  const Positives all(context(), bought, params);
  EXPECT_EQ(all.items.to_host(), bought.columns);
  params.rare_power = 1.0f;
  const Positives alike(context(), bought, params);
  const std::vector<int32_t> items = alike.items.to_host();
  const std::vector<int32_t> users = alike.users.to_host();
  for (int32_t i = 0; i < 4; ++i) EXPECT_NEAR(std::ranges::count(items, i), 85.0 / 4.0, 1.0) << i;
  for (size_t k = 0; k < items.size(); ++k) EXPECT_TRUE(bought.contains(users[k], items[k]));
}

TEST_P(ClassImbalanceTest, NegativesFollowAPowerOfPopularity) {
  const std::vector<int64_t> buyers{64, 16, 4, 1};
  const HostCsr bought = bought_by(buyers, 64);
  for (const float power : {0.0f, 0.75f, 1.0f}) {
    TrainParams params;
    params.popularity_negatives = true;
    params.popularity_power = power;
    const Positives positives(context(), bought, params);
    const std::vector<float> threshold = positives.alias_threshold.to_host();
    const std::vector<int32_t> alias = positives.alias_item.to_host();
    std::vector<double> chance(buyers.size(), 0.0);
    for (size_t i = 0; i < buyers.size(); ++i) {
      chance[i] += static_cast<double>(threshold[i]) / 4.0;
      chance[static_cast<size_t>(alias[i])] += (1.0 - static_cast<double>(threshold[i])) / 4.0;
    }
    double total = 0.0;
    for (const int64_t n : buyers) total += std::pow(static_cast<double>(n), static_cast<double>(power));
    for (size_t i = 0; i < buyers.size(); ++i) {
      const double expected = std::pow(static_cast<double>(buyers[i]), static_cast<double>(power)) / total;
      EXPECT_NEAR(chance[i], expected, 1e-6) << i << ", power " << power;  // thresholds are floats
    }
  }
}

TEST_P(ClassImbalanceTest, TheWeightOfPurchasesMovesChances) {
  if (!context().on_cpu()) return;
  // Each user buys 4 of 16 items, each item has as many buyers: what is learned is one chance, that of a purchase among
  // a purchase and 3 negatives: w / (w + 3).
  HostCsr bought;
  bought.n_columns = 16;
  for (int32_t u = 0; u < 64; ++u) {
    for (int32_t i = 0; i < 4; ++i) bought.columns.push_back(4 * (u % 4) + i);
    bought.row_offsets.push_back(bought.nnz());
  }
  const auto chance = [&](double weight) {
    PairTables tables(context(), PairForm::dot, 64, 1, identity_csr(16));  // vectors of zeros have no gradient
    TrainParams params;
    params.loss = LossKind::bce;
    params.batch = 64;
    params.negatives = 3;
    params.dropout = 0.0f;
    params.rule.learning_rate = 0.02f;
    params.rule.weight_decay = 0.0f;
    params.positive_weight = static_cast<float>(balanced_weight(weight, params.negatives));
    const auto epoch = make_sampled_epoch(context(), tables, bought, params);
    for (int64_t e = 1; e <= 60; ++e) epoch->run(e);
    double sum = 0.0;
    const std::vector<float> users = tables.user_bias.value.to_host(), items = tables.item_bias.value.to_host();
    const float all = tables.bias.value.to_host()[0];
    for (const float u : users) {
      for (const float i : items) sum += 1.0 / (1.0 + std::exp(-static_cast<double>(u + i + all)));
    }
    return sum / static_cast<double>(users.size() * items.size());
  };
  EXPECT_NEAR(chance(1.0), 0.25, 0.03);
  EXPECT_NEAR(chance(9.0), 0.75, 0.03);
  EXPECT_NEAR(chance(0.0), 0.5, 0.03);  // balanced
}

SHEAF_ON_EVERY_BACKEND(ClassImbalanceTest);

}  // namespace
}  // namespace sheaf
