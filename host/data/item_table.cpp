#include "host/data/item_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "engine/data/shown.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::data {
namespace {

/// It has a header even where the transactions have none.
text::CsvOptions with_header(text::CsvOptions options) {
  options.header = true;
  return options;
}

}  // namespace

ItemTable::ItemTable(const std::filesystem::path& path, const ImportConfig& config, const Context& context)
    : file_(path, with_header(config.source.csv)),
      number_format_(config.source.csv.number),
      name_columns_(config.items.name),
      reader_(config.clean) {
  columns_ = config.items.name;
  columns_.insert(columns_.end(), config.items.categorical.begin(), config.items.categorical.end());
  columns_.insert(columns_.end(), config.items.numeric.begin(), config.items.numeric.end());
  for (const auto& [column, values] : config.clean.exclude) columns_.push_back(column);
  columns_.push_back(config.items.category);
  columns_.push_back(config.items.key);
  std::erase(columns_, std::string());
  std::ranges::sort(columns_);
  columns_.erase(std::unique(columns_.begin(), columns_.end()), columns_.end());

  std::vector<int64_t> positions;
  for (const std::string& column : columns_) positions.push_back(file_.column(column));
  parsed_ = file_.parse(positions, context);
  found_.assign(columns_.size(), reader_.nothing_found());
  for (size_t c = 0; c < columns_.size(); ++c) reader_.read(parsed_.values[c], found_[c]);
  for (int64_t row = 0; row < file_.n_rows(); ++row) {
    const int32_t found = parsed_.n_fields[static_cast<size_t>(row)];
    if (found != static_cast<int32_t>(file_.header().size())) {
      throw DataError(file_.width_message(row, found), "mend the row");
    }
    const std::string_view key = value(config.items.key, row);
    if (key.empty() || keys_.encode(key) != row) {
      throw DataError(
          fmt::format("{} line {}: column '{}': {}", path.string(), file_.line(row), text::shown(config.items.key),
                      key.empty() ? "the value is missing" : fmt::format("'{}' is there twice", text::shown(key))),
          "every item needs one row");
    }
  }
}

void ItemTable::report_values(ImportReport& report) const {
  for (size_t c = 0; c < columns_.size(); ++c) {
    const auto example = [&](int64_t row) {
      return ImportReport::Example{file_.line(row), std::string(parsed_.values[c][static_cast<size_t>(row)]),
                                   file_.path().filename().string()};
    };
    reader_.report(columns_[c], found_[c], example, report);
  }
}

std::string_view ItemTable::value(const std::string& column, int64_t row) const {
  const auto index = std::ranges::lower_bound(columns_, column) - columns_.begin();
  return parsed_.values[static_cast<size_t>(index)][static_cast<size_t>(row)];
}

std::string ItemTable::name(int64_t row) const {
  std::string name;
  for (const std::string& column : name_columns_) {
    const std::string_view part = value(column, row);
    if (!name.empty() && !part.empty()) name += ' ';
    name += part;
  }
  return name;
}

double ItemTable::number(const std::string& column, int64_t row) const {
  double number = 0.0;
  const std::string_view text = value(column, row);
  switch (text::parse_number(text, number, number_format_)) {
    case text::NumberStatus::ok: return number;
    case text::NumberStatus::empty: return std::numeric_limits<double>::quiet_NaN();
    default: {
      const std::string advice = text::number_advice(text, number_format_);
      throw DataError(fmt::format("{} line {}: column '{}': '{}' is not a finite number", file_.path().string(),
                                  file_.line(row), text::shown(column), text::shown(text)),
                      advice.empty() ? "mend the value, or leave it empty" : advice);
    }
  }
}

}  // namespace sheaf::data
