#include "host/app/campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/data/shown.hpp"
#include "engine/io/folder.hpp"
#include "host/app/session.hpp"
#include "host/text/csv.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::app {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();
constexpr double kUnknownCost = std::numeric_limits<double>::quiet_NaN();

/// A line of a JSON-lines file, for messages.
struct KnownLine {
  const std::filesystem::path& path;
  int64_t number;

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(fmt::format("{} line {}: {}", path.string(), number, what),
                    "give the bundles.jsonl or users.jsonl of a search of the same data");
  }
};

/// Ascending; empty if an item is unknown.
std::vector<int32_t> items_of(const nlohmann::json& bundle, data::IdLookup& ids, const KnownLine& line) {
  std::vector<int32_t> items;
  for (const nlohmann::json& item : bundle.at("items")) {
    items.push_back(ids.item(item.at("id").get<std::string>(), line.number));
  }
  std::ranges::sort(items);
  if (!items.empty() && items.front() < 0) items.clear();
  return items;
}

std::vector<float> discount_levels(const config::Config::Discount& d) {
  std::vector<float> levels;
  for (int64_t l = 0; l < d.levels; ++l) {
    const double share = d.levels == 1 ? 1.0 : static_cast<double>(l) / static_cast<double>(d.levels - 1);
    const double level = d.min + (d.max - d.min) * share;
    levels.push_back(
        static_cast<float>(std::clamp(std::round(level * 100.0) / 100.0, d.min, d.max)));  // whole percents
  }
  levels.erase(std::ranges::unique(levels).begin(), levels.end());
  return levels;
}

}  // namespace

RunFacts read_run_facts(const std::filesystem::path& path, const Context& context, data::IdLookup& ids) {
  const text::CsvFile file(path);
  const bool has_stock = file.has_column("stock"), has_cost = file.has_column("cost");
  const int64_t item_column = file.column("item");
  if (!has_stock && !has_cost) {
    throw DataError(path.string() + ": neither a column stock nor a column cost",
                    "name them in the header: item,stock,cost");
  }
  std::vector<int64_t> positions{item_column};
  if (has_stock) positions.push_back(file.column("stock"));
  if (has_cost) positions.push_back(file.column("cost"));
  const text::CsvColumns columns = file.parse(positions, context);
  RunFacts facts;
  const auto n_items = static_cast<size_t>(ids.prepared().n_items);
  if (has_stock) facts.stock.assign(n_items, kUnlimited);
  if (has_cost) facts.cost.assign(n_items, kUnknownCost);
  std::vector<bool> seen(n_items);
  for (int64_t row = 0; row < file.n_rows(); ++row) {
    const auto at = static_cast<size_t>(row);
    const auto fail = [&](const std::string& what, const std::string& mend) {
      throw DataError(fmt::format("{} line {}: {}", path.string(), file.line(row), what), mend);
    };
    if (columns.n_fields[at] != static_cast<int32_t>(file.header().size())) {
      throw DataError(file.width_message(row, columns.n_fields[at]), "mend the row");
    }
    const int32_t item = ids.item(columns.values[0][at], file.line(row));
    if (item < 0) continue;
    if (seen[static_cast<size_t>(item)])
      fail(fmt::format("item '{}' is there twice", text::shown(columns.values[0][at])), "every item has one line");
    seen[static_cast<size_t>(item)] = true;
    const auto read = [&](size_t column, const char* name, double& value) {
      const std::string_view text = columns.values[column][at];
      double number = 0.0;
      const text::NumberStatus status = text::parse_number(text, number);
      if (status == text::NumberStatus::empty) return;
      if (status != text::NumberStatus::ok || number < 0.0) {
        fail(fmt::format("column '{}': '{}' is not a number of at least 0", name, text::shown(text)),
             "write it like 1234.5, or leave it empty");
      }
      value = number;
    };
    if (has_stock) read(1, "stock", facts.stock[static_cast<size_t>(item)]);
    if (has_cost) read(has_stock ? 2 : 1, "cost", facts.cost[static_cast<size_t>(item)]);
  }
  ids.require_any();
  return facts;
}

KnownBundles read_known_bundles(const std::filesystem::path& given, data::IdLookup& ids) {
  std::filesystem::path path = given;
  std::error_code ignored;
  if (std::filesystem::is_directory(given, ignored)) {
    const nlohmann::json files = io::read_folder(given, "")["files"];
    path = given / (files.contains("bundles.jsonl") ? "bundles.jsonl" : "users.jsonl");
    if (!files.contains(path.filename().string())) {
      throw DataError(given.string() + " holds neither bundles.jsonl nor users.jsonl",
                      "give the folder of `sheaf search`, `sheaf score` or `sheaf demo`");
    }
  }
  std::istringstream text(text::read_text(path));
  KnownBundles known;
  KnownLine line{path, 0};
  for (std::string row; std::getline(text, row);) {
    ++line.number;
    if (row.empty()) continue;
    try {
      const nlohmann::json object = nlohmann::json::parse(row);
      if (!object.contains("user")) {
        std::vector<int32_t> items = items_of(object, ids, line);
        if (!items.empty()) known.any.push_back(std::move(items));
        continue;
      }
      const int32_t user = ids.user(object.at("user").get<std::string>(), line.number);
      std::vector<int32_t> items = items_of(object.at("bundle"), ids, line);
      if (user >= 0 && !items.empty()) known.of_user[user].push_back(std::move(items));
    } catch (const nlohmann::json::exception&) {
      line.fail("no bundle");
    }
  }
  if (known.any.empty() && known.of_user.empty()) {
    ids.require_any();
    throw DataError(path.string() + ": the file has no bundles", "give the bundles.jsonl or users.jsonl of a search");
  }
  return known;
}

Campaign::Campaign(const Session& session) {
  const data::Prepared& prepared = session.prepared;
  const config::Config& config = session.config();
  if (config.discount.min > config.discount.max) {
    throw UsageError(
        fmt::format("discount.min = {} is above discount.max = {}", config.discount.min, config.discount.max),
        "exchange them");
  }
  if (config.discount.by == "search") {
    levels = discount_levels(config.discount);
    uplift = used_uplift(session);
  }
  const data::UnknownPolicy policy = data::unknown_policy(config.run.unknown_ids);
  if (!config.search.item_facts.empty()) {
    data::IdLookup ids(config.search.item_facts, prepared, policy);
    facts = read_run_facts(config.search.item_facts, session.context(), ids);
    session.note(ids.note());
  }
  if (!config.search.warm_start.empty()) {
    data::IdLookup ids(config.search.warm_start, prepared, policy);
    known = read_known_bundles(config.search.warm_start, ids);
    session.note(ids.note());
  }
}

void Campaign::apply(SearchParams& params, const data::Prepared& prepared, const config::Config& config) const {
  if (levels.empty()) return;
  params.uplift = static_cast<float>(uplift);
  params.margin_floor = static_cast<float>(config.discount.margin_floor);
  for (const double cost : unit_costs(prepared, config)) params.unit_cost.push_back(static_cast<float>(cost));
}

std::vector<double> Campaign::unit_costs(const data::Prepared& prepared, const config::Config& config) const {
  std::vector<double> costs;
  for (size_t i = 0; i < prepared.item_price.size(); ++i) {
    const double usual = config.discount.cost_share * static_cast<double>(prepared.item_price[i]);
    const bool is_known = !facts.cost.empty() && !std::isnan(facts.cost[i]);
    costs.push_back(is_known ? facts.cost[i] : usual);
  }
  return costs;
}

}  // namespace sheaf::app
