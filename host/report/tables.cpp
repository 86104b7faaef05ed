#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/optimize/lagrangian_bound.hpp"
#include "host/report/report.hpp"

namespace sheaf::report {
namespace {

using data::Prepared;

std::string item_id(const Prepared& prepared, int32_t item) { return std::string(prepared.item_ids[item]); }
std::string item_name(const Prepared& prepared, int32_t item) { return std::string(prepared.item_names[item]); }
std::string user_id(const Prepared& prepared, int32_t user) { return std::string(prepared.user_ids[user]); }

nlohmann::json items_json(const Prepared& prepared, const Bundle& bundle) {
  nlohmann::json items = nlohmann::json::array();
  for (size_t m = 0; m < bundle.items.size(); ++m) {
    const int32_t item = bundle.items[m];
    const auto at = static_cast<size_t>(item);
    items.push_back({{"id", item_id(prepared, item)},
                     {"name", item_name(prepared, item)},
                     {"category", std::string(prepared.category_names[prepared.item_category[at]])},
                     {"price", prepared.item_price[at]},
                     {"probability", bundle.probability[m]}});
  }
  return items;
}

std::string interval_csv(const Interval& i) { return fmt::format("{:.2f},{:.2f},{:.2f}", i.expected, i.low, i.high); }

std::string dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string bundles_csv(const Prepared& prepared, const std::vector<app::Offer>& offers, const CsvCells& cells) {
  std::string out =
      "rank,item_ids,item_names,categories,size,price,discount,offer_price,currency,expected_value,turnover,turnover_"
      "low,turnover_high,"
      "incremental_revenue,incremental_revenue_low,incremental_revenue_high,"
      "incremental_margin,incremental_margin_low,incremental_margin_high,association,lift,cohesion,value,audience,"
      "expected_baskets,"
      "users\n";
  for (size_t r = 0; r < offers.size(); ++r) {
    const app::Offer& offer = offers[r];
    const auto& items = offer.bundle.items;
    const auto id = [&](int32_t i) { return prepared.item_ids[i]; };
    const auto name = [&](int32_t i) { return prepared.item_names[i]; };
    const auto category = [&](int32_t item) {
      return prepared.category_names[prepared.item_category[static_cast<size_t>(item)]];
    };
    out += fmt::format(
        "{},{},{},{},{},{:.2f},{:.2f},{:.2f},{},{:.2f},{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{:.2f},{},{}\n", r + 1,
        cells.list_of(items, id), cells.list_of(items, name), cells.list_of(items, category), items.size(), offer.price,
        offer.discount, offer.offer_price, cells.text(prepared.currency), offer.expected_value,
        interval_csv(offer.increment.turnover), interval_csv(offer.increment.revenue),
        interval_csv(offer.increment.margin), offer.association, offer.lift, offer.cohesion, offer.bundle.value,
        offer.audience, std::isnan(offer.expected_baskets) ? "" : fmt::format("{:.2f}", offer.expected_baskets),
        cells.list_of(offer.users, [&](int32_t u) { return prepared.user_ids[u]; }));
  }
  return out;
}

/// "turnover", "turnover_low", "turnover_high"
static void add_interval(nlohmann::json& offer, const std::string& name, const Interval& interval) {
  offer[name] = interval.expected;
  offer[name + "_low"] = interval.low;
  offer[name + "_high"] = interval.high;
}

nlohmann::json offer_json(const Prepared& prepared, const app::Offer& offer, size_t rank) {
  nlohmann::json users = nlohmann::json::array();
  for (const int32_t user : offer.users) users.push_back(user_id(prepared, user));
  nlohmann::json json{{"rank", rank},
                      {"items", items_json(prepared, offer.bundle)},
                      {"price", offer.price},
                      {"discount", offer.discount},
                      {"offer_price", offer.offer_price},
                      {"currency", prepared.currency},
                      {"expected_value", offer.expected_value},
                      {"association", offer.association},
                      {"lift", offer.lift},
                      {"cohesion", offer.cohesion},
                      {"value", offer.bundle.value},
                      {"audience", offer.audience},
                      {"expected_baskets", offer.expected_baskets},
                      {"users", users}};
  add_interval(json, "turnover", offer.increment.turnover);
  add_interval(json, "incremental_revenue", offer.increment.revenue);
  add_interval(json, "incremental_margin", offer.increment.margin);
  return json;
}

/// "bound" and "gap"; null where nothing is feasible.
static void add_bound(nlohmann::json& bundle, double bound, const Bundle& of) {
  const bool feasible = of.violation == 0.0f;
  bundle["bound"] = std::isfinite(bound) ? nlohmann::json(bound) : nlohmann::json();
  const double gap = feasible ? gap_of(bound, static_cast<double>(of.value)) : 0.0;
  bundle["gap"] = feasible && std::isfinite(gap) ? nlohmann::json(gap) : nlohmann::json();
}

std::string bundles_jsonl(const Prepared& prepared, const std::vector<app::Offer>& offers,
                          const std::vector<double>& bounds) {
  std::string out;
  for (size_t r = 0; r < offers.size(); ++r) {
    nlohmann::json offer = offer_json(prepared, offers[r], r + 1);
    if (!bounds.empty()) add_bound(offer, bounds[r], offers[r].bundle);
    out += dump(offer);
  }
  return out;
}

std::string users_csv(const Prepared& prepared, const UserScores& scores, const CsvCells& cells) {
  std::string out = "user,top_items,bundle_items,bundle_names,bundle_price,bundle_value,discount,feasible\n";
  for (size_t u = 0; u < scores.users.size(); ++u) {
    const Bundle& bundle = scores.bundles[u];
    std::vector<int32_t> top;
    for (int64_t r = 0; r < scores.length; ++r) {
      const int32_t item = scores.items[u * static_cast<size_t>(scores.length) + static_cast<size_t>(r)];
      if (item >= 0) top.push_back(item);
    }
    double price = 0;
    for (const int32_t item : bundle.items)
      price += static_cast<double>(prepared.item_price[static_cast<size_t>(item)]);
    const auto id = [&](int32_t i) { return prepared.item_ids[i]; };
    out += fmt::format("{},{},{},{},{:.2f},{:.6g},{:.2f},{}\n", cells.text(prepared.user_ids[scores.users[u]]),
                       cells.list_of(top, id), cells.list_of(bundle.items, id),
                       cells.list_of(bundle.items, [&](int32_t i) { return prepared.item_names[i]; }), price,
                       bundle.value, bundle.discount, bundle.violation == 0.0f ? "yes" : "no");
  }
  return out;
}

std::string users_jsonl(const Prepared& prepared, const UserScores& scores) {
  std::string out;
  for (size_t u = 0; u < scores.users.size(); ++u) {
    nlohmann::json top = nlohmann::json::array();
    for (int64_t r = 0; r < scores.length; ++r) {
      const int32_t item = scores.items[u * static_cast<size_t>(scores.length) + static_cast<size_t>(r)];
      if (item >= 0) top.push_back({{"id", item_id(prepared, item)}, {"name", item_name(prepared, item)}});
    }
    nlohmann::json items = items_json(prepared, scores.bundles[u]);
    for (size_t m = 0; m < items.size(); ++m) {
      const app::Reason& reason = scores.reasons[u][m];
      items[m]["bought_before"] = reason.bought;
      if (reason.partner < 0) continue;
      items[m]["goes_with"] = item_id(prepared, reason.partner);
      items[m]["lift"] = reason.lift;
    }
    nlohmann::json bundle{{"items", items},
                          {"value", scores.bundles[u].value},
                          {"discount", std::round(static_cast<double>(scores.bundles[u].discount) * 1e6) / 1e6},
                          {"feasible", scores.bundles[u].violation == 0.0f}};
    if (!scores.bounds.empty()) add_bound(bundle, scores.bounds[u], scores.bundles[u]);
    out += dump({{"user", user_id(prepared, scores.users[u])}, {"top_items", top}, {"bundle", bundle}});
  }
  return out;
}

}  // namespace sheaf::report
