#include "host/data/import.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "engine/data/shown.hpp"
#include "host/data/clean.hpp"
#include "host/data/item_facts.hpp"
#include "host/data/item_table.hpp"
#include "host/data/item_vectors.hpp"
#include "host/data/rows.hpp"
#include "host/data/times.hpp"
#include "host/data/timestamp.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::data {
namespace {

constexpr const char* kSplitKindNames[] = {"temporal", "random", "leave_last_out", "given"};
constexpr const char* kValueKindNames[] = {"missing", "trimmed", "padded"};
constexpr const char* kPartNames[] = {"train", "validation", "test"};

/// Ids and codes of users (or items): those that occur in `kept`, by the byte order of their ids.
void encode_ids(const StringEncoder& encoder, const std::vector<int32_t>& codes, const std::vector<int64_t>& kept,
                StringTable& ids, std::vector<int32_t>& out) {
  std::vector<uint8_t> occurs(static_cast<size_t>(encoder.size()), 0);
  for (const int64_t row : kept) occurs[static_cast<size_t>(codes[static_cast<size_t>(row)])] = 1;
  SortedCodes sorted = sort_codes(encoder.strings(), occurs);
  for (const int64_t row : kept) {
    out.push_back(sorted.new_of[static_cast<size_t>(codes[static_cast<size_t>(row)])]);
  }
  ids = std::move(sorted.strings);
}

/// The value as it is stored. DataError where float32 does not hold what the file says: beyond its range, or a number
/// above 2^24 that it rounds. `given`: as it stands in the column, not computed.
float stored(const Rows& rows, int64_t row, const std::string& column, double value, bool given = true) {
  constexpr double kMostExact = 0x1.0p24;
  const auto held = static_cast<float>(value);
  const bool rounded = given && std::abs(value) > kMostExact && static_cast<double>(held) != value;
  if (std::isfinite(held) && !rounded) return held;
  throw DataError(fmt::format("{}: column '{}': {} is {} in 32 bits, in which it is stored", rows.source.place(row),
                              text::shown(column), value,
                              std::isfinite(held) ? fmt::format("{:.0f}", held) : "beyond the largest number"),
                  "whole numbers are exact up to 16777216; give the column in a larger unit, such as thousands");
}

void fill_interactions(const Rows& rows, const ImportConfig& config, const std::vector<int64_t>& kept,
                       std::vector<uint8_t> split, Prepared& prepared) {
  encode_ids(rows.users, rows.user, kept, prepared.user_ids, prepared.user);
  encode_ids(rows.items, rows.item, kept, prepared.item_ids, prepared.item);
  prepared.basket = number_baskets(rows, kept);
  prepared.split = std::move(split);
  for (const int64_t at : kept) {
    check_interrupt();
    const auto row = static_cast<size_t>(at);
    const double quantity = rows.quantity[row];
    prepared.timestamp.push_back(rows.timestamp[row]);
    const auto& columns = config.columns;
    prepared.quantity.push_back(stored(rows, at, columns.quantity, quantity));
    prepared.price.push_back(columns.amount.empty()
                                 ? stored(rows, at, columns.price, rows.paid[row])
                                 : stored(rows, at, columns.amount, rows.paid[row] / quantity, false));
    const std::string& discount = columns.discount.empty() ? columns.price : columns.discount.front();
    prepared.discount.push_back(stored(rows, at, discount, rows.discount[row], columns.discount.size() == 1));
  }
  prepared.n_users = prepared.user_ids.size();
  prepared.n_items = prepared.item_ids.size();
  prepared.n_baskets = kept.empty() ? 0 : *std::ranges::max_element(prepared.basket) + 1;
}

/// "march.csv", "january.csv and 2 more files"
std::string name_of(const std::vector<std::filesystem::path>& paths, bool whole) {
  const std::string first = whole ? paths.front().string() : paths.front().filename().string();
  return paths.size() == 1
             ? first
             : fmt::format("{} and {} more file{}", first, paths.size() - 1, paths.size() == 2 ? "" : "s");
}

nlohmann::json as_json(const ImportReport::Example& example) {
  nlohmann::json json{{"line", example.line}, {"value", example.value}};
  if (!example.file.empty()) json["file"] = example.file;
  return json;
}

nlohmann::json summarize(const ImportReport& report, const std::vector<std::filesystem::path>& paths,
                         const ImportConfig& config, const Prepared& prepared) {
  nlohmann::json rules = nlohmann::json::array();
  for (const auto& rule : report.rules) {
    nlohmann::json examples = nlohmann::json::array();
    for (const auto& example : rule.examples) examples.push_back(as_json(example));
    rules.push_back({{"name", rule.name},
                     {"meaning", rule.meaning},
                     {"active", rule.active},
                     {"breaks", rule.breaks},
                     {"dropped", rule.dropped},
                     {"examples", examples}});
  }
  const auto [first, last] = std::ranges::minmax(prepared.timestamp);
  nlohmann::json parts = nlohmann::json::object();
  for (size_t part = 0; part < 3; ++part) {
    const ImportReport::Part& of = report.parts[part];
    nlohmann::json& json = parts[kPartNames[part]];
    json = {{"rows", report.split_rows[part]}, {"baskets", of.baskets}};
    if (report.split_rows[part] == 0 || !report.has_times) continue;
    json["first_timestamp"] = of.first;
    json["last_timestamp"] = of.last;
  }
  if (report.validation_after) parts["validation"]["after_timestamp"] = *report.validation_after;
  if (report.test_after) parts["test"]["after_timestamp"] = *report.test_after;
  nlohmann::json files = nlohmann::json::array();
  for (const std::filesystem::path& path : paths) files.push_back(path.filename().string());
  nlohmann::json values = nlohmann::json::array();
  for (const ImportReport::ValueCount& count : report.values) {
    values.push_back({{"kind", kValueKindNames[static_cast<size_t>(count.kind)]},
                      {"column", count.column},
                      {"values", count.values},
                      {"first", as_json(count.first)}});
    if (count.kind == ImportReport::ValueKind::missing) values.back()["marker"] = count.marker;
  }
  nlohmann::json formats = nlohmann::json::object();
  for (const auto& [format, rows] : report.time_formats) formats[format] = rows;
  return {{"file", name_of(paths, false)},
          {"files", files},
          {"values", values},
          {"time_formats", formats},
          {"rows_read", report.rows_read},
          {"rows_kept", report.rows_kept},
          {"rules", rules},
          {"split", kSplitKindNames[static_cast<size_t>(config.split.kind)]},
          {"split_rows",
           {{"train", report.split_rows[kTrain]},
            {"validation", report.split_rows[kValidation]},
            {"test", report.split_rows[kTest]}}},
          {"parts", parts},
          {"first_timestamp", first},
          {"last_timestamp", last}};
}

void check_named_once(const std::vector<std::filesystem::path>& paths) {
  if (paths.empty()) throw UsageError("no file is named", "name at least one file of transactions");
  for (auto path = paths.begin(); path != paths.end(); ++path) {
    const bool again = std::any_of(paths.begin(), path, [&](const std::filesystem::path& earlier) {
      std::error_code not_there;
      return earlier == *path || std::filesystem::equivalent(earlier, *path, not_there);
    });
    if (again) throw UsageError(path->string() + ": the file is named twice", "name each file once");
  }
}

/// Ids that differ in blanks alone are different ids.
void warn_of_blanks(const ImportConfig& config, ImportReport& report) {
  for (const ImportReport::ValueCount& count : report.values) {
    const auto& columns = config.columns;
    const bool is_id = count.column == columns.user || count.column == columns.basket || count.column == columns.item;
    if (count.kind != ImportReport::ValueKind::padded || !is_id) continue;
    report.warnings.push_back(
        fmt::format("with blanks at an end, and so other ids than without: {} value{} of column '{}', such as '{}' "
                    "({}line {}); trim = true under [clean] takes the blanks off",
                    count.values, count.values == 1 ? "" : "s", count.column, count.first.value,
                    count.first.file.empty() ? "" : count.first.file + " ", count.first.line));
  }
}

void count_formats(const Rows& rows, const ImportConfig& config, ImportReport& report) {
  const std::vector<std::string>& formats = config.timestamp.formats;
  if (formats.size() == 1 || config.columns.timestamp.empty()) return;
  for (const std::string& format : formats) report.time_formats.emplace_back(format, 0);
  for (int64_t row = 0; row < rows.size(); ++row) {
    if (!rows.is_malformed(row)) ++report.time_formats[rows.time_format(row)].second;
  }
}

/// Items of each category of the rules, the empty ones too: a rule that takes nothing is likely a slip.
void count_categories(const ImportConfig::Categories& categories, const Prepared& prepared, ImportReport& report) {
  if (categories.rules.empty()) return;
  const auto add = [&](const std::string& category) {
    if (std::ranges::find(report.categories, category, &std::pair<std::string, int64_t>::first) ==
        report.categories.end()) {
      report.categories.emplace_back(category, 0);
    }
  };
  for (const CategoryRule& rule : categories.rules) add(rule.category);
  add(categories.other);
  for (auto& [category, items] : report.categories) {
    items = std::ranges::count_if(prepared.item_category,
                                  [&](int32_t code) { return prepared.category_names[code] == category; });
  }
}

/// Nothing left is an error that says where the rows went.
void check_not_empty(const std::string& name, const Rows& rows, const std::vector<int64_t>& kept,
                     const ImportReport& report) {
  if (report.rows_kept > 0 && report.split_rows[kTrain] > 0) return;
  std::string where;
  for (const auto& rule : report.rules) {
    if (rule.dropped > 0) where += fmt::format("{}{} {}", where.empty() ? "" : ", ", rule.name, rule.dropped);
  }
  std::string more, advice = "check [columns], [clean] and [split] of the import configuration";
  for (int64_t row = 0; row < rows.size() && more.empty(); ++row) {
    if (!rows.is_malformed(row)) continue;
    more = "; the first malformed row: " + rows.issue_message(row);
    if (const std::string of_number = rows.number_advice(row); !of_number.empty()) advice = of_number;
  }
  if (report.test_after && !kept.empty()) {
    const auto time = [&](int64_t row) { return time_text(rows.timestamp[static_cast<size_t>(row)]); };
    more += fmt::format("; the rows are from {} to {}, and train would end with {}", time(kept.front()),
                        time(kept.back()), time_text(*report.validation_after));
  }
  const char* what = report.rows_kept == 0 ? "no rows are left" : "no rows are left to train on";
  throw DataError(fmt::format("{}: {} of {} read (dropped: {}){}", name, what, report.rows_read,
                              where.empty() ? "none" : where, more),
                  advice);
}

}  // namespace

const ImportReport::Rule& ImportReport::rule(const std::string& name) const {
  const auto found = std::ranges::find(rules, name, &Rule::name);
  if (found == rules.end()) throw UsageError(fmt::format("no cleaning rule is named '{}'", name));
  return *found;
}

std::pair<Prepared, ImportReport> import_file(const std::filesystem::path& path, const ImportConfig& config,
                                              int n_threads) {
  return import_files({path}, config, n_threads);
}

std::pair<Prepared, ImportReport> import_files(const std::vector<std::filesystem::path>& paths,
                                               const ImportConfig& config, int n_threads) {
  check_named_once(paths);
  const Range range("import");
  const auto start = std::chrono::steady_clock::now();
  const Context context(Device{}, ContextOptions{0, n_threads, false});
  std::pair<Prepared, ImportReport> result;
  auto& [prepared, report] = result;

  const Rows rows(paths, config, context);
  rows.source.report_values(report);
  warn_of_blanks(config, report);
  count_formats(rows, config, report);
  std::unique_ptr<ItemTable> table;
  if (!config.items.file.empty()) {
    table = std::make_unique<ItemTable>(paths.front().parent_path() / config.items.file, config, context);
    table->report_values(report);
  }
  check_interrupt("import");
  std::vector<int64_t> kept = clean_rows(rows, table.get(), config, context, report);
  std::ranges::stable_sort(kept, {}, [&](int64_t row) {
    check_interrupt();
    return rows.timestamp[static_cast<size_t>(row)];
  });
  if (!config.columns.timestamp.empty()) check_unit(rows, config, kept);
  const int64_t last = kept.empty() ? 0 : rows.timestamp[static_cast<size_t>(kept.back())];
  std::vector<uint8_t> split = split_rows(rows, kept, config.split);
  check_interrupt("import");
  thin_rows(rows, config.clean, kept, split, report);

  report.rows_kept = static_cast<int64_t>(kept.size());
  for (const uint8_t part : split) ++report.split_rows[part];
  judge_times(rows, config, kept, split, last, report);
  check_not_empty(name_of(paths, true), rows, kept, report);
  prepared.name = config.source.name.empty() ? name_of(paths, false) : config.source.name;
  prepared.currency = config.source.currency;
  fill_interactions(rows, config, kept, std::move(split), prepared);
  if (!prepared.has_pairs()) {
    report.warnings.emplace_back(
        "no basket has two items, so nothing is bought together: check columns.basket and columns.timestamp; bundles "
        "then need search.objective = affinity and associate.by = cosine or gcn, which go by what the same users buy");
  }
  check_interrupt("import");
  fill_item_facts(rows, table.get(), config, kept, prepared);
  fill_item_vectors(table.get(), config, paths.front().parent_path(), prepared, report);
  report.n_users = prepared.n_users;
  report.n_items = prepared.n_items;
  report.n_baskets = prepared.n_baskets;
  count_categories(config.categories, prepared, report);
  prepared.import_summary = summarize(report, paths, config, prepared);
  for (const auto& [category, items] : report.categories) {
    prepared.import_summary["categories"].push_back({{"category", category}, {"items", items}});
  }
  if (const auto& vectors = report.vectors) {
    prepared.import_summary["vectors"] = {{"dimensions", vectors->dim},
                                          {"items", vectors->items},
                                          {"items_without", vectors->missing},
                                          {"unknown_ids", vectors->unknown}};
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace sheaf::data
