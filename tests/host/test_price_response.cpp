#include "host/app/price_response.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "host/app/offers.hpp"
#include "host/app/price_response.hpp"
#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

constexpr int64_t kDay = 86400;

/// 25 items: 4 lines of each in week 0 at 3 a piece; 8 in week 1, two pieces for 3 where 6 is the full price. 10
/// baskets a week.
data::Prepared half_price_shop() {
  data::Prepared prepared;
  prepared.n_items = 25;
  prepared.n_baskets = 30;
  prepared.item_category.assign(25, 0);
  const auto sell = [&](int64_t day, int32_t item, int32_t basket, float quantity, float price, float discount,
                        uint8_t split) {
    prepared.user.push_back(0);
    prepared.item.push_back(item);
    prepared.basket.push_back(basket);
    prepared.timestamp.push_back(day * kDay + 3600);
    prepared.quantity.push_back(quantity);
    prepared.price.push_back(price);
    prepared.discount.push_back(discount);
    prepared.split.push_back(split);
  };
  for (int32_t item = 0; item < 25; ++item) {
    for (int32_t line = 0; line < 4; ++line) sell(1000, item, line * 5 / 2, 1, 3, 0, data::kTrain);
  }
  for (int32_t basket = 0; basket < 10; ++basket) sell(1000, 0, basket, 1, 0, 0, data::kTrain);  // without a price
  for (int32_t item = 0; item < 25; ++item) {
    for (int32_t line = 0; line < 8; ++line) sell(1007, item, 10 + line, 2, 1.5f, 3, data::kTrain);
  }
  for (int32_t basket = 10; basket < 20; ++basket) sell(1007, 0, basket, 1, 0, 0, data::kTrain);
  for (int32_t line = 0; line < 50; ++line) sell(1014, line % 25, 20 + line % 10, 1, 0.5f, 2.5f, data::kTest);
  return prepared;
}

double rate_of(double mean) {
  double low = 1e-9, high = mean;
  for (int i = 0; i < 200; ++i)
    (((low + high) / 2) / (1 - std::exp(-(low + high) / 2)) < mean ? low : high) = (low + high) / 2;
  return low;
}

TEST(ResponseOfPeriod, ReadsTheTrainingLinesAlone) {
  const app::PriceResponses found = app::estimate_responses(half_price_shop());
  const PriceResponse& r = found.training;
  ASSERT_EQ(r.own_reason, "");
  EXPECT_NEAR(r.own.value, std::log(rate_of(8) / rate_of(4)) / std::log(0.5), 1e-6);
  EXPECT_EQ(r.n_lines, 25 * 12);
  EXPECT_EQ(r.n_discounted, 25 * 8);
  EXPECT_EQ(r.n_items, 25);
  EXPECT_EQ(r.n_observations, 50);
  EXPECT_EQ(found.validation.own_reason, "no discounts");  // it has no lines
  // A set without lines, and one with a broken clock.
  EXPECT_EQ(app::estimate_responses({}).training.own_reason, "no discounts");
  data::Prepared broken = half_price_shop();
  broken.timestamp.back() += 40'000 * kDay;
  EXPECT_EQ(app::estimate_responses(broken).training.own_reason, "its purchases are 40014 days apart");
}

TEST(ResponseText, SaysWhatTheDataSayAndWhatIsUsed) {
  app::PriceResponses found;
  found.training.own = {-1.8, 0.2};
  found.training.cross = {0.3, 0.2};
  found.training.n_items = 2345;
  found.training.n_observations = 12000;
  found.validation.own_reason = found.validation.cross_reason = "no discounts";
  EXPECT_EQ(
      app::response_text(found, choose_response(found.training, NAN, 0.1)),
      "price response: own -1.80 (s.e. 0.20), from 2,345 items in 12,000 item-weeks, distinguishable from nothing; "
      "others of the category 0.30 (s.e. 0.20), not distinguishable from nothing\n"
      "used: own estimated -1.80 (s.e. 0.20), others of the category given 0.10 (s.e. 0.00)\n");
  found.training.own_reason = found.training.cross_reason = "no discounts";
  EXPECT_EQ(app::response_text(found, choose_response(found.training, NAN, NAN)),
            "price response: this data cannot say: no discounts\n"
            "used: own assumed -2.00 (s.e. 1.00), others of the category assumed 0.70 (s.e. 0.35)\n");
  const nlohmann::json json = app::to_json(found, choose_response(found.training, NAN, NAN));
  EXPECT_EQ(json["training"]["own"]["reason"], "no discounts");
  EXPECT_EQ(json["used"]["own"]["source"], "assumed");
  EXPECT_EQ(json["used"]["cross"]["value"], 0.7);
  std::vector<app::Offer> offers(4);
  offers[0].increment.margin = {2, 1, 3};
  offers[1].increment.margin = {-2, -3, -1};
  offers[2].increment.margin = {1, -1, 3};
  offers[3].increment.margin = {-2, -3, -1};
  EXPECT_EQ(app::verdict_text(offers, config::Config()),
            "Of 4 discounts 1 add margin and 2 lose it; for 1 the interval spans 0. Costs are 70 % of the price unless "
            "search.item_facts names them.");
}

class PriceProgramTest : public ProgramTest {
 protected:
  std::vector<nlohmann::json> search(std::vector<std::string> settings) const {
    std::vector<std::string> arguments{"search", "data", "--model", "model", "--out", "bundles", "--json", "--quiet"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    std::istringstream lines(must_run(small(arguments)).out);
    std::vector<nlohmann::json> offers;
    for (std::string line; std::getline(lines, line);) offers.push_back(nlohmann::json::parse(line));
    EXPECT_FALSE(offers.empty());
    return offers;
  }
};

TEST_F(PriceProgramTest, OffersSayWhatTheirDiscountAdds) {
  prepare_model();
  for (const nlohmann::json& offer : search({})) {
    for (const char* name : {"turnover", "incremental_revenue", "incremental_margin"}) {
      const std::string key = name;
      EXPECT_LT(offer[key + "_low"].get<double>(), offer[key].get<double>());
      EXPECT_LT(offer[key].get<double>(), offer[key + "_high"].get<double>());
    }
    // Nothing is known of this shop, so it may be that the discount is simply lost.
    EXPECT_LT(offer["incremental_margin_low"].get<double>(), 0);
    EXPECT_LT(offer["incremental_margin"].get<double>(), offer["incremental_revenue"].get<double>());
  }
  const std::string csv = read("bundles/bundles.csv");
  EXPECT_TRUE(has(csv,
                  ",turnover,turnover_low,turnover_high,incremental_revenue,incremental_revenue_low,"
                  "incremental_revenue_high,incremental_margin,incremental_margin_low,incremental_margin_high,"));
  for (const nlohmann::json& offer : search({"discount.own_response=0"})) {
    const double loss =
        -offer["turnover"].get<double>() * offer["discount"].get<double>() / (1 - offer["discount"].get<double>());
    EXPECT_NEAR(offer["incremental_revenue"].get<double>(), loss, 1e-9);
    EXPECT_NEAR(offer["incremental_margin"].get<double>(), loss, 1e-9);
  }
  for (const nlohmann::json& offer : search({"discount.min=0", "discount.max=0"})) {
    EXPECT_EQ(offer["incremental_revenue_low"], 0.0);
    EXPECT_EQ(offer["incremental_margin_high"], 0.0);
  }
  const Finished text = must_run({"evaluate", "data", "--model", "model"});
  EXPECT_TRUE(has(text.out, "price response: this data cannot say: no discounts\nused: own assumed -2.00")) << text.out;
  const nlohmann::json metrics =
      nlohmann::json::parse(must_run({"evaluate", "data", "--model", "model", "--json"}).out);
  EXPECT_EQ(metrics["price_response"]["training"]["own"]["reason"], "no discounts");
}

TEST_F(PriceProgramTest, TheSearchTakesItsUpliftFromTheResponse) {
  prepare_model();
  const auto with = [&](std::vector<std::string> settings) {
    settings.insert(settings.end(), {"discount.by=search", "search.objective=revenue", "discount.max=0.4"});
    std::vector<std::pair<nlohmann::json, nlohmann::json>> found;
    for (const nlohmann::json& offer : search(settings)) found.emplace_back(offer["value"], offer["discount"]);
    return found;
  };
  EXPECT_EQ(with({}), with({"discount.uplift=2"})) << "the data cannot say";
  EXPECT_EQ(with({"discount.own_response=-3.5"}), with({"discount.uplift=3.5"}));
  EXPECT_NE(with({}), with({"discount.uplift=3.5"}));
}

TEST_F(PriceProgramTest, ResponsesAreNumbersOfTheirSignOrAuto) {
  prepare_model();
  const auto refused = [&](const std::string& setting) {
    expect_failure({"evaluate", "data", "--model", "model", "--set", setting}, 2, "expected \"auto\" or a number from");
  };
  for (const char* bad : {"discount.own_response=0.5", "discount.own_response=much", "discount.cross_response=-1",
                          "discount.uplift=-0.1", "discount.own_response=[1]"}) {
    refused(bad);
  }
  write_bytes(home() / "s.toml", "[discount]\nown_response = -3\ncross_response = \"auto\"\n");
  const Finished shown = must_run({"config", "--settings", "s.toml"});
  EXPECT_TRUE(has(shown.out, "own_response = -3.0  # changed; default \"auto\"")) << shown.out;
  EXPECT_TRUE(has(shown.out, "\ncross_response = \"auto\"\n"));
}

}  // namespace
}  // namespace sheaf
