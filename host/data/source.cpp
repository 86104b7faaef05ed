#include "host/data/source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "host/data/encode.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::data {

Source::Source(const std::vector<std::filesystem::path>& paths, const ImportConfig& config,
               std::vector<std::string> columns, const Context& context)
    : columns_(std::move(columns)),
      ignored_(config.columns.ignore),
      header_(config.source.csv.header),
      baskets_(config.source.layout == ImportConfig::Layout::baskets),
      names_baskets_(config.columns.basket != kBasketOfLine),
      reader_(config.clean),
      values_(columns_.size()),
      found_(columns_.size(), reader_.nothing_found()) {
  for (const std::filesystem::path& path : paths) {
    const text::CsvFile& file = files_.emplace_back(path, config.source.csv);
    check_interrupt("import");
    if (baskets_) {
      read_baskets(file);
    } else {
      read_rows(file, context);
    }
    first_row_.push_back(columns_.empty() ? 0 : std::ssize(values_.front()));
  }
  parallel_for(context, std::ssize(columns_), 1, [&](int64_t begin, int64_t end) {
    for (auto c = static_cast<size_t>(begin); c < static_cast<size_t>(end); ++c) {
      if (columns_[c] != kItemOfLine) reader_.read(values_[c], found_[c]);
    }
  });
}

int64_t Source::position(const text::CsvFile& file, const std::string& column) const {
  if (baskets_ && !header_) {  // lines differ in length
    int64_t number = 0;
    std::from_chars(column.data(), column.data() + column.size(), number);
    return number - 1;
  }
  try {
    return file.column(column);
  } catch (const DataError& error) {
    if (!header_) throw DataError(error.what(), "count columns from 1; the first line says how many there are");
    if (!error.hint().starts_with("did you mean")) throw;  // what the file seems to be
    throw DataError(error.what(), error.hint() +
                                      " If the first line is no header, set header = false under [source] "
                                      "and write numbers of columns under [columns]");
  }
}

void Source::read_rows(const text::CsvFile& file, const Context& context) {
  std::vector<int64_t> positions;
  for (const std::string& column : columns_) positions.push_back(position(file, column));
  text::CsvColumns parsed = file.parse(positions, context);
  const auto before = static_cast<size_t>(first_row_.back());
  for (size_t c = 0; c < columns_.size(); ++c) {
    if (before == 0) {
      values_[c] = std::move(parsed.values[c]);
    } else {
      values_[c].insert(values_[c].end(), parsed.values[c].begin(), parsed.values[c].end());
    }
  }
  std::ranges::move(parsed.unquoted, std::back_inserter(made_));
  const auto width = static_cast<int32_t>(file.header().size());
  for (size_t row = 0; row < parsed.n_fields.size(); ++row) {
    if (parsed.n_fields[row] == width) continue;
    wrong_width_.resize(before + parsed.n_fields.size(), 0);
    wrong_width_[before + row] = 1;
  }
  if (!wrong_width_.empty()) wrong_width_.resize(before + parsed.n_fields.size(), 0);
}

void Source::read_baskets(const text::CsvFile& file) {
  std::vector<std::pair<size_t, size_t>> named;  // column, position in a line
  std::set<size_t> other;                        // positions that hold no item
  for (size_t c = 0; c < columns_.size(); ++c) {
    if (columns_[c] == kItemOfLine || columns_[c] == kBasketOfLine) continue;
    named.emplace_back(c, static_cast<size_t>(position(file, columns_[c])));
    other.insert(named.back().second);
  }
  for (const std::string& column : ignored_) other.insert(static_cast<size_t>(position(file, column)));
  const size_t item = column(kItemOfLine);
  std::vector<std::string_view>& items = values_[item];
  std::deque<std::string>& unquoted = made_.emplace_back();
  std::deque<std::string>& lines = made_.emplace_back();
  std::vector<std::string_view> fields;
  for (int64_t record = 0; record < file.n_rows(); ++record) {
    const bool good = file.fields(record, fields, unquoted) >= 0;
    if (good && std::ranges::all_of(fields, [](auto field) { return without_blanks(field).empty(); })) continue;
    const size_t first = items.size();
    for (size_t f = 0; good && f < fields.size(); ++f) {
      if (other.contains(f)) continue;
      const std::string_view value = reader_.read(fields[f], static_cast<int64_t>(first), found_[item]);
      if (!value.empty()) items.push_back(value);
    }
    if (items.size() == first) items.emplace_back();  // a line without an item is a row that cannot be read
    for (const auto& [c, at] : named) {
      values_[c].resize(items.size(), good && at < fields.size() ? fields[at] : std::string_view());
    }
    if (!names_baskets_) {
      const std::string& number = lines.emplace_back(std::to_string(++n_lines_));
      values_[column(kBasketOfLine)].resize(items.size(), number);
    }
    record_.resize(items.size(), record);
    if (!good) wrong_width_.resize(first, 0);
    if (!good || !wrong_width_.empty()) wrong_width_.resize(items.size(), good ? 0 : 1);
  }
}

size_t Source::column(const std::string& name) const {
  return static_cast<size_t>(std::ranges::find(columns_, name) - columns_.begin());
}

size_t Source::file_of(int64_t row) const {
  return static_cast<size_t>(std::ranges::upper_bound(first_row_, row) - first_row_.begin()) - 1;
}

int64_t Source::record_of(int64_t row) const {
  return baskets_ ? record_[static_cast<size_t>(row)] : row - first_row_[file_of(row)];
}

std::string_view Source::raw(int64_t row) const { return files_[file_of(row)].raw(record_of(row)); }

std::string Source::written(size_t column, int64_t row) const {
  const std::string& name = columns_[column];
  if (name == kItemOfLine || name == kBasketOfLine) return std::string(values_[column][static_cast<size_t>(row)]);
  const text::CsvFile& file = files_[file_of(row)];
  std::vector<std::string_view> fields;
  std::deque<std::string> unquoted;
  (void)file.fields(record_of(row), fields, unquoted);
  const auto at = static_cast<size_t>(position(file, name));
  return at < fields.size() ? std::string(fields[at]) : std::string();
}

std::string Source::width_message(int64_t row) const {
  const text::CsvFile& file = files_[file_of(row)];
  std::vector<std::string_view> fields;
  std::deque<std::string> unquoted;
  const int64_t record = record_of(row);
  return file.width_message(record, file.fields(record, fields, unquoted));
}

int64_t Source::line(int64_t row) const { return files_[file_of(row)].line(record_of(row)); }

std::string Source::place(int64_t row) const {
  return fmt::format("{} line {}", files_[file_of(row)].path().string(), line(row));
}

std::string Source::short_place(int64_t row) const {
  const std::string name = files_.size() > 1 ? files_[file_of(row)].path().filename().string() + " " : "";
  return fmt::format("{}line {}", name, line(row));
}

ImportReport::Example Source::example(int64_t row, std::string value) const {
  return {line(row), std::move(value), files_.size() > 1 ? files_[file_of(row)].path().filename().string() : ""};
}

std::vector<uint8_t> Source::find_duplicates() const {
  std::vector<uint8_t> duplicate(static_cast<size_t>(size()), 0);
  std::map<std::vector<std::string>, StringEncoder> seen_of;  // by header: the same text means other things
  for (size_t f = 0; f < files_.size(); ++f) {
    const text::CsvFile& file = files_[f];
    StringEncoder& seen = seen_of[baskets_ && !header_ ? std::vector<std::string>() : file.header()];
    std::set<std::string_view> items;  // of the line
    const size_t item = column(kItemOfLine);
    int64_t line = -1;
    bool repeated = false;
    for (int64_t row = first_row_[f]; row < first_row_[f + 1]; ++row) {
      const int64_t record = record_of(row);
      if (record != line) {
        line = record;
        const int64_t before = seen.size();
        if (names_baskets_) seen.encode(file.raw(record));
        repeated = names_baskets_ && seen.size() == before;
        items.clear();
      }
      const bool again = baskets_ && !items.insert(values_[item][static_cast<size_t>(row)]).second;
      duplicate[static_cast<size_t>(row)] = repeated || again;
    }
  }
  return duplicate;
}

void Source::report_values(ImportReport& report) const {
  for (size_t c = 0; c < columns_.size(); ++c) {
    reader_.report(
        columns_[c], found_[c], [&](int64_t row) { return example(row, written(c, row)); }, report);
  }
}

}  // namespace sheaf::data
