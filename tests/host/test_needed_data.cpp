#include "host/app/needed_data.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/core/error.hpp"
#include "tests/host/shop.hpp"

namespace sheaf::app {
namespace {

/// What the error of `assignment` says; empty: none.
std::string refused(const data::Prepared& shop, const std::string& assignment) {
  config::Config config;
  if (!assignment.empty()) config.set(assignment);
  try {
    refuse_meaningless(shop, config);
  } catch (const UsageError& error) {
    return std::string(error.what()) + "; " + error.hint();
  }
  return {};
}

struct Lacking {
  const char* what;
  const char* column;
  data::Prepared shop;
  std::vector<std::string> meaningless;
};

std::vector<Lacking> lacking() {
  data::Prepared no_prices = weekly_shop(data::kTest), no_times = no_prices, no_categories = no_prices;
  std::ranges::fill(no_prices.item_price, 0.0f);
  std::ranges::fill(no_times.timestamp, 0);
  no_categories.category_names = {};
  no_categories.category_names.push_back(data::kNoValue);
  return {{"prices",
           "columns.price",
           no_prices,
           {"search.budget=5", "search.weight_revenue=1", "search.objective=revenue", "search.objective=joint + margin",
            "discount.by=search", "discount.margin_floor=0.1", "discount.cost_share=0.5", "discount.own_response=-2",
            "discount.cross_response=1", "discount.uplift=3"}},
          {"times",
           "columns.timestamp",
           no_times,
           {"search.anchor_by=trending", "search.anchor_by=new", "search.anchor_days=7", "model.recency_days=30",
            "personal.half_life_days=30", "evaluate.decay_days=9"}},
          {"categories",
           "columns.category",
           no_categories,
           {"search.categories=tea", "search.min_categories=2", "associate.category_rule=same",
            "associate.category_pairs=tea > tea"}}};
}

TEST(NeededData, SettingsThatMeanNothingAreRefused) {
  for (const Lacking& lack : lacking()) {
    EXPECT_EQ(refused(lack.shop, ""), "") << lack.what;
    EXPECT_EQ(refused(lack.shop, "search.max_size=3"), "") << lack.what;
    for (const std::string& assignment : lack.meaningless) {
      const std::string error = refused(lack.shop, assignment);
      EXPECT_EQ(error.find(assignment.substr(0, assignment.find('='))), 0u) << assignment << ": " << error;
      EXPECT_NE(error.find(std::string("the data shop has no ") + lack.what), std::string::npos) << error;
      EXPECT_NE(error.find(lack.column), std::string::npos) << error;
    }
  }
}

TEST(NeededData, TheSameSettingsAreFineWhereTheDataHasIt) {
  const data::Prepared shop = weekly_shop(data::kTest);
  for (const Lacking& lack : lacking()) {
    for (const std::string& assignment : lack.meaningless) EXPECT_EQ(refused(shop, assignment), "") << assignment;
  }
}

TEST(NeededData, ASessionAsks) {
  data::Prepared shop = weekly_shop(data::kTest);
  std::ranges::fill(shop.item_price, 0.0f);
  config::Config config = quick();
  config.search.budget = 10.0;
  Context context;
  EXPECT_THROW(Session(context, config, std::move(shop)), UsageError);
}

}  // namespace
}  // namespace sheaf::app
