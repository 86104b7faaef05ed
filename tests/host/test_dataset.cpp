#include "host/app/dataset.hpp"

#include <gtest/gtest.h>

namespace sheaf::dataset_test {
namespace {

using data::kTest, data::kTrain, data::kValidation;

/// Baskets 0 and 1 in train, 2 in validation, 3 in test; the split by lines cuts basket 4 into train and test.
data::Prepared sales() {
  data::Prepared p;
  p.n_users = 3;
  p.n_items = 4;
  p.n_baskets = 5;
  const auto sell = [&](int32_t basket, int32_t user, int32_t item, int64_t time, uint8_t split) {
    p.basket.push_back(basket);
    p.user.push_back(user);
    p.item.push_back(item);
    p.timestamp.push_back(time);
    p.split.push_back(split);
  };
  sell(1, 2, 3, 100, kTrain);
  sell(0, 0, 2, 110, kTrain);
  sell(1, 2, 0, 120, kTrain);  // the second line of basket 1: its time is that of the first
  sell(1, 2, 0, 120, kTrain);  // and once more
  sell(4, 1, 1, 130, kTrain);
  sell(4, 1, 2, 130, kTest);
  sell(2, 0, 1, 140, kValidation);
  sell(3, 2, 3, 150, kTest);
  return p;
}

std::vector<std::vector<int32_t>> rows_of(const HostCsr& matrix) {
  std::vector<std::vector<int32_t>> rows;
  for (int64_t r = 0; r < matrix.n_rows(); ++r) rows.emplace_back(matrix.row(r).begin(), matrix.row(r).end());
  return rows;
}

using Rows = std::vector<std::vector<int32_t>>;

TEST(MakeCatalog, NumbersThatTellNothingAreLeftOut) {
  data::Prepared prepared = sales();
  prepared.numeric_names = {"log_price", "weight", "length"};
  prepared.item_numeric = {0, 0.5f, 1, 0, -2, 0, 0, 1, 0, 0, 0.5f, -1};
  const Catalog catalog = app::make_catalog(prepared);
  EXPECT_EQ(catalog.numbers.n, 2);
  EXPECT_EQ(catalog.numbers.values, (std::vector<float>{0.5f, 1, -2, 0, 1, 0, 0.5f, -1}));
}

TEST(MakePurchases, BasketsOfEachPeriodWithTheirUsersAndTimes) {
  const Purchases purchases = app::make_purchases(sales(), 0.0);
  EXPECT_EQ(rows_of(purchases.train_baskets), (Rows{{0, 3}, {2}, {1}}));
  EXPECT_EQ(purchases.train_basket_user, (std::vector<int32_t>{2, 0, 1}));
  EXPECT_EQ(purchases.train_basket_time, (std::vector<int64_t>{100, 110, 130}));
  EXPECT_EQ(rows_of(purchases.validation_baskets), (Rows{{1}}));
  EXPECT_EQ(purchases.validation_basket_user, (std::vector<int32_t>{0}));
  EXPECT_EQ(purchases.validation_basket_time, (std::vector<int64_t>{140}));
  EXPECT_EQ(rows_of(purchases.test_baskets), (Rows{{2}, {3}}));
  EXPECT_EQ(purchases.test_basket_user, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(purchases.test_basket_time, (std::vector<int64_t>{130, 150}));
}

TEST(MakePurchases, APeriodWithoutLinesHasNoBaskets) {
  data::Prepared prepared = sales();
  for (uint8_t& split : prepared.split) split = kTrain;
  const Purchases purchases = app::make_purchases(prepared, 0.0);
  EXPECT_EQ(purchases.train_baskets.n_rows(), 5);
  EXPECT_EQ(purchases.validation_baskets.n_rows(), 0);
  EXPECT_EQ(purchases.validation_baskets.n_columns, 4);
  EXPECT_TRUE(purchases.validation_basket_user.empty());
  EXPECT_TRUE(purchases.test_basket_time.empty());
}

}  // namespace
}  // namespace sheaf::dataset_test
