// What people read of bundles, users and epochs: every number in its own place, by one worked example.

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "host/cli/present.hpp"
#include "host/report/report.hpp"
#include "tests/host/shop.hpp"

namespace sheaf {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// No two numbers of it are equal.
app::Offer offer_of_items_2_and_5() {
  app::Offer offer;
  offer.bundle = {7, {2, 5}, {0.125f, 0.25f}, 0.375f, 0.0f, 0.5f};
  offer.price = 11.25;
  offer.discount = 0.15;
  offer.offer_price = 9.56;
  offer.expected_baskets = 31.5;
  offer.audience = 21.75;
  offer.expected_value = 301.14;
  offer.increment = {{1.5, 0.25, 2.75}, {3.5, -1.25, 4.75}, {5.5, -2.25, 6.75}};
  offer.cohesion = 0.0625;
  offer.lift = 1.875;
  offer.association = 0.03125;
  offer.users = {11, 3};
  return offer;
}

data::Prepared priced_shop() {
  data::Prepared shop = app::weekly_shop(data::kTest);
  shop.item_price = {1, 2, 3, 4, 5, 8.25f, 7, 8};
  return shop;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
  return cells;
}

TEST(Tables, BundlesAsCsv) {
  app::Offer unforeseen = offer_of_items_2_and_5();
  unforeseen.expected_baskets = kNan;
  const std::string csv =
      report::bundles_csv(priced_shop(), {offer_of_items_2_and_5(), unforeseen}, report::CsvCells(false));
  std::istringstream lines(csv);
  std::string header, first, second, rest;
  std::getline(lines, header);
  std::getline(lines, first);
  std::getline(lines, second);
  EXPECT_FALSE(std::getline(lines, rest));
  const std::vector<std::pair<const char*, const char*>> expected{{"rank", "1"},
                                                                  {"item_ids", "i2; i5"},
                                                                  {"item_names", "item 2; item 5"},
                                                                  {"categories", "all; all"},
                                                                  {"size", "2"},
                                                                  {"price", "11.25"},
                                                                  {"discount", "0.15"},
                                                                  {"offer_price", "9.56"},
                                                                  {"currency", "EUR"},
                                                                  {"expected_value", "301.14"},
                                                                  {"turnover", "1.50"},
                                                                  {"turnover_low", "0.25"},
                                                                  {"turnover_high", "2.75"},
                                                                  {"incremental_revenue", "3.50"},
                                                                  {"incremental_revenue_low", "-1.25"},
                                                                  {"incremental_revenue_high", "4.75"},
                                                                  {"incremental_margin", "5.50"},
                                                                  {"incremental_margin_low", "-2.25"},
                                                                  {"incremental_margin_high", "6.75"},
                                                                  {"association", "0.03125"},
                                                                  {"lift", "1.875"},
                                                                  {"cohesion", "0.0625"},
                                                                  {"value", "0.375"},
                                                                  {"audience", "21.75"},
                                                                  {"expected_baskets", "31.50"},
                                                                  {"users", "u111; u103"}};
  const std::vector<std::string> names = cells_of(header), values = cells_of(first), others = cells_of(second);
  ASSERT_EQ(names.size(), expected.size());
  ASSERT_EQ(values.size(), expected.size());
  ASSERT_EQ(others.size(), expected.size());
  for (size_t c = 0; c < expected.size(); ++c) {
    EXPECT_EQ(names[c], expected[c].first);
    EXPECT_EQ(values[c], expected[c].second) << names[c];
  }
  EXPECT_EQ(others[0], "2");
  EXPECT_EQ(others[24], "") << "what is not foreseen has no number";
}

TEST(Tables, BundlesAsJsonLines) {
  const std::string text = report::bundles_jsonl(priced_shop(), {offer_of_items_2_and_5()}, {0.46875});
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const nlohmann::json offer = nlohmann::json::parse(text);
  const std::vector<std::pair<const char*, double>> numbers{{"rank", 1},
                                                            {"price", 11.25},
                                                            {"discount", 0.15},
                                                            {"offer_price", 9.56},
                                                            {"expected_value", 301.14},
                                                            {"association", 0.03125},
                                                            {"lift", 1.875},
                                                            {"cohesion", 0.0625},
                                                            {"value", 0.375},
                                                            {"audience", 21.75},
                                                            {"expected_baskets", 31.5},
                                                            {"turnover", 1.5},
                                                            {"turnover_low", 0.25},
                                                            {"turnover_high", 2.75},
                                                            {"incremental_revenue", 3.5},
                                                            {"incremental_revenue_low", -1.25},
                                                            {"incremental_revenue_high", 4.75},
                                                            {"incremental_margin", 5.5},
                                                            {"incremental_margin_low", -2.25},
                                                            {"incremental_margin_high", 6.75},
                                                            {"bound", 0.46875},
                                                            {"gap", 0.25}};
  for (const auto& [name, value] : numbers) EXPECT_EQ(offer.at(name), value) << name;
  EXPECT_EQ(offer.size(), numbers.size() + 3);
  EXPECT_EQ(offer.at("currency"), "EUR");
  EXPECT_EQ(offer.at("users"), nlohmann::json({"u111", "u103"}));
  EXPECT_EQ(
      offer.at("items")[1],
      nlohmann::json({{"id", "i5"}, {"name", "item 5"}, {"category", "all"}, {"price", 8.25}, {"probability", 0.25}}));
}

TEST(Tables, UsersOfBothKinds) {
  report::UserScores scores;
  scores.users = {4, 9};
  scores.length = 2;
  scores.items = {1, 6, 7, -1};
  scores.bundles = {{4, {2, 5}, {0.125f, 0.25f}, 0.375f, 0.0f, 0.5f}, {9, {0}, {0.5f}, 0.75f, 1.0f, 0.0f}};
  scores.reasons = {{{3, 5, 1.875}, {0, 2, 1.875}}, {{}}};
  EXPECT_EQ(report::users_csv(priced_shop(), scores, report::CsvCells(false)),
            "user,top_items,bundle_items,bundle_names,bundle_price,bundle_value,discount,feasible\n"
            "u104,i1; i6,i2; i5,item 2; item 5,11.25,0.375,0.50,yes\n"
            "u109,i7,i0,item 0,1.00,0.75,0.00,no\n");
  std::istringstream lines(report::users_jsonl(priced_shop(), scores));
  std::string first;
  std::getline(lines, first);
  const nlohmann::json user = nlohmann::json::parse(first);
  EXPECT_EQ(user.at("user"), "u104");
  EXPECT_EQ(user.at("top_items")[1], nlohmann::json({{"id", "i6"}, {"name", "item 6"}}));
  const nlohmann::json& item = user.at("bundle").at("items")[0];
  EXPECT_EQ(item.at("bought_before"), 3);
  EXPECT_EQ(item.at("goes_with"), "i5");
  EXPECT_EQ(item.at("lift"), 1.875);
  EXPECT_EQ(user.at("bundle").at("value"), 0.375);
  EXPECT_EQ(user.at("bundle").at("discount"), 0.5);
  EXPECT_EQ(user.at("bundle").at("feasible"), true);
}

TEST(Present, AnEpochInALine) {
  EpochReport epoch;
  epoch.epoch = 3;
  epoch.train_loss = 0.123456;
  EXPECT_EQ(cli::epoch_text(epoch), "epoch   3  loss 0.12346");
  epoch.validation_ndcg = 0.25;
  epoch.validation_recall = 0.5;
  EXPECT_EQ(cli::epoch_text(epoch), "epoch   3  loss 0.12346  validation NDCG 0.2500  Recall 0.5000");
  epoch.best = true;
  EXPECT_EQ(cli::epoch_text(epoch), "epoch   3  loss 0.12346  validation NDCG 0.2500  Recall 0.5000  best");
  epoch.what = "ease.l2 = 500";
  EXPECT_EQ(cli::epoch_text(epoch), "ease.l2 = 500  validation NDCG 0.2500  Recall 0.5000  best");
  epoch.what.clear();
  epoch.epoch = 2;
  EXPECT_EQ(cli::training_text({{EpochReport(), epoch}, 2, false}),
            "2 epochs, the best is 2 with validation NDCG@10 0.2500");
}

}  // namespace
}  // namespace sheaf
