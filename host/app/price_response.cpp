#include "host/app/price_response.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/app/campaign.hpp"
#include "host/app/offers.hpp"
#include "host/app/search_setup.hpp"
#include "host/text/format.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::app {
namespace {

constexpr int64_t kSecondsPerDay = 86400;
constexpr int64_t kMaxDays = 36'600;  // a hundred years

/// "-1.58 (s.e. 0.07)"
std::string with_error(const Elasticity& e) { return fmt::format("{:.2f} (s.e. {:.2f})", e.value, e.error); }

std::string told(const Elasticity& e) {
  return e.distinguishable() ? "distinguishable from nothing" : "not distinguishable from nothing";
}

nlohmann::json elasticity_json(const Elasticity& e, const std::string& reason) {
  if (!reason.empty()) return {{"reason", reason}};
  return {{"value", e.value}, {"error", e.error}, {"distinguishable", e.distinguishable()}};
}

nlohmann::json response_json(const PriceResponse& r) {
  return {{"own", elasticity_json(r.own, r.own_reason)},
          {"cross", elasticity_json(r.cross, r.cross_reason)},
          {"lines", r.n_lines},
          {"discounted_lines", r.n_discounted},
          {"items", r.n_items},
          {"item_weeks", r.n_observations},
          {"week_start", r.week_start}};
}

}  // namespace

PriceResponse response_of_period(const data::Prepared& prepared, uint8_t period, const PriceResponseParams& params) {
  if (prepared.timestamp.empty()) return estimate_price_response({}, prepared.item_category, {}, params);
  const int64_t first = prepared.timestamp.front() / kSecondsPerDay, last = prepared.timestamp.back() / kSecondsPerDay;
  if (last - first > kMaxDays) {
    PriceResponse none;
    none.own_reason = none.cross_reason = fmt::format("its purchases are {} days apart", last - first);
    return none;
  }
  std::vector<PriceLine> lines;
  std::vector<double> baskets(static_cast<size_t>(last - first + 1));
  std::vector<int32_t> last_day(static_cast<size_t>(prepared.n_baskets), -1);
  for (size_t i = 0; i < prepared.user.size(); ++i) {  // in the order of time
    if (prepared.split[i] != period) continue;
    const auto day = static_cast<int32_t>(prepared.timestamp[i] / kSecondsPerDay - first);
    const auto paid = static_cast<double>(prepared.price[i]);
    const double off = static_cast<double>(prepared.discount[i]) / static_cast<double>(prepared.quantity[i]);
    lines.push_back({prepared.item[i], day, paid, paid + off});
    int32_t& seen = last_day[static_cast<size_t>(prepared.basket[i])];
    if (seen != day) baskets[static_cast<size_t>(day)] += 1;
    seen = day;
  }
  return estimate_price_response(lines, prepared.item_category, baskets, params);
}

PriceResponses estimate_responses(const data::Prepared& prepared) {
  PriceResponses responses{response_of_period(prepared, data::kTrain, {}), {}};
  PriceResponseParams short_period{.min_lines = 4};  // an item has fewer lines in a few weeks
  if (responses.training.own_reason.empty()) short_period.week_start = responses.training.week_start;
  responses.validation = response_of_period(prepared, data::kValidation, short_period);
  return responses;
}

UsedResponse used_response(const Session& session) {
  const config::Config::Discount& discount = session.config().discount;
  return choose_response(session.price_responses().training, discount.own_response, discount.cross_response);
}

double used_uplift(const Session& session) {
  const double uplift = session.config().discount.uplift;
  return std::isnan(uplift) ? std::max(0.0, -used_response(session).own.value) : uplift;
}

void fill_increments(const ChanceTable& table, const Session& session, const Campaign& plan,
                     std::vector<Offer>& offers) {
  const UsedResponse response = used_response(session);
  const std::vector<double> costs = plan.unit_costs(session.prepared, session.config());
  for (Offer& offer : offers) {
    const std::vector<int32_t>& items = offer.bundle.items;
    const std::vector<double> chances = table.in_period(items);
    std::vector<double> price, cost;
    for (const int32_t item : items) {
      price.push_back(static_cast<double>(session.catalog.price[static_cast<size_t>(item)]));
      cost.push_back(costs[static_cast<size_t>(item)]);
    }
    offer.increment = bundle_increment(expected_demand(chances, price, cost), offer.discount, response);
  }
}

std::string response_text(const PriceResponses& responses, const UsedResponse& used) {
  const PriceResponse& r = responses.training;
  std::string out = "price response: ";
  if (!r.own_reason.empty()) {
    out += "this data cannot say: " + r.own_reason;
  } else {
    out += fmt::format("own {}, from {} items in {} item-weeks, {}", with_error(r.own), text::with_commas(r.n_items),
                       text::with_commas(r.n_observations), told(r.own));
    out += r.cross_reason.empty() ? fmt::format("; others of the category {}, {}", with_error(r.cross), told(r.cross))
                                  : "; others of the category: this data cannot say: " + r.cross_reason;
    const PriceResponse& v = responses.validation;
    if (v.own_reason.empty()) out += fmt::format("; the validation weeks alone: own {}", with_error(v.own));
  }
  return out + fmt::format("\nused: own {} {}, others of the category {} {}\n", to_string(used.own_source),
                           with_error(used.own), to_string(used.cross_source), with_error(used.cross));
}

std::string verdict_text(const std::vector<Offer>& offers, const config::Config& config) {
  int64_t add = 0, lose = 0;
  for (const Offer& offer : offers) {
    add += offer.increment.margin.low > 0 ? 1 : 0;
    lose += offer.increment.margin.high < 0 ? 1 : 0;
  }
  return fmt::format(
      "Of {} discounts {} add margin and {} lose it; for {} the interval spans 0. Costs are {:.0f} % of the price "
      "unless "
      "search.item_facts names them.",
      offers.size(), add, lose, std::ssize(offers) - add - lose, 100 * config.discount.cost_share);
}

nlohmann::json to_json(const PriceResponses& responses, const UsedResponse& used) {
  const auto used_json = [](const Elasticity& e, UsedResponse::Source source) {
    return nlohmann::json{{"value", e.value}, {"error", e.error}, {"source", to_string(source)}};
  };
  return {
      {"training", response_json(responses.training)},
      {"validation", response_json(responses.validation)},
      {"used", {{"own", used_json(used.own, used.own_source)}, {"cross", used_json(used.cross, used.cross_source)}}}};
}

}  // namespace sheaf::app
