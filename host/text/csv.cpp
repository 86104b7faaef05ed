#include "host/text/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

#include "engine/data/nearest.hpp"
#include "engine/data/shown.hpp"
#include "host/text/encoding.hpp"
#include "host/text/json_lines.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::text {
namespace {

// In n_fields: why a row cannot be read.
constexpr int32_t kBadQuote = -1;     // text after a closing quote
constexpr int32_t kNoObject = -2;     // not a JSON object
constexpr int32_t kNestedValue = -3;  // a chosen key holds a list or an object
constexpr int64_t kCsvChunk = 4096;

size_t find_char(std::string_view text, char c, size_t from) {
  if (from >= text.size()) return text.size();
  const void* found = std::memchr(text.data() + from, c, text.size() - from);
  return found == nullptr ? text.size() : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// What stands between fields: a text, or (if it is empty) any number of blanks.
struct Separator {
  std::string_view text;

  /// Where the field that goes on at `from` ends: the next separator or the end of the record.
  size_t find(std::string_view record, size_t from) const {
    if (text.size() == 1) return find_char(record, text[0], from);
    return std::min(text.empty() ? record.find_first_of(" \t", from) : record.find(text, from), record.size());
  }
  bool is_at(std::string_view record, size_t at) const {
    return text.empty() ? is_blank(record[at]) : record.substr(at).starts_with(text);
  }
  /// Just after the separator at `at`.
  size_t skip(std::string_view record, size_t at) const {
    if (!text.empty()) return at + text.size();
    while (at < record.size() && is_blank(record[at])) ++at;
    return at;
  }
  /// Blanks at either end of a record are no separators.
  std::string_view trimmed(std::string_view record) const { return text.empty() ? trim(record) : record; }
};

/// Just after the closing quote of the quoted field that begins at `open`; npos if it is never closed.
size_t skip_quoted(std::string_view text, size_t open) {
  for (size_t at = open + 1;;) {
    at = find_char(text, '"', at);
    if (at == text.size()) return std::string_view::npos;
    if (at + 1 < text.size() && text[at + 1] == '"') {
      at += 2;
      continue;
    }
    return at + 1;
  }
}

/// End of the record that begins at `begin` (its line feed or the end of the text); npos if a quote is never closed.
size_t record_end(std::string_view text, size_t begin, const Separator& separator) {
  size_t line_end = find_char(text, '\n', begin);
  if (find_char(text.substr(0, line_end), '"', begin) == line_end) return line_end;
  for (size_t at = separator.text.empty() ? separator.skip(text, begin) : begin;;) {
    if (at < text.size() && text[at] == '"') at = skip_quoted(text, at);
    if (at == std::string_view::npos) return at;
    if (at > line_end) line_end = find_char(text, '\n', at);
    const std::string_view until = text.substr(0, line_end);
    at = separator.find(until, at);
    if (at == line_end) return line_end;
    at = separator.skip(until, at);
  }
}

/// The fields of one record.
struct Fields {
  std::vector<std::string_view> first;  // those that were asked for
  int32_t count = 0;                    // of all, or kBadQuote
  bool last_is_empty = false;
};

/// Splits a record and keeps its first `n_kept` fields.
void split_fields(std::string_view record, const Separator& separator, size_t n_kept, Fields& fields,
                  std::deque<std::string>& unquoted) {
  record = separator.trimmed(record);
  fields.first.clear();
  fields.count = 0;
  for (size_t at = 0;;) {
    size_t end = 0;
    std::string_view inside;
    if (at < record.size() && record[at] == '"') {
      end = skip_quoted(record, at);
      if (end == std::string_view::npos || (end < record.size() && !separator.is_at(record, end))) {
        fields.count = kBadQuote;
        return;
      }
      inside = record.substr(at + 1, end - at - 2);
      if (fields.first.size() < n_kept && inside.find('"') != std::string_view::npos) {
        std::string& plain = unquoted.emplace_back();
        for (size_t i = 0; i < inside.size(); ++i) {
          plain.push_back(inside[i]);
          if (inside[i] == '"') ++i;
        }
        inside = plain;
      }
    } else {
      end = separator.find(record, at);
      inside = record.substr(at, end - at);
    }
    if (fields.first.size() < n_kept) fields.first.push_back(inside);
    ++fields.count;
    fields.last_is_empty = inside.empty();
    if (end == record.size()) return;
    at = separator.skip(record, end);
  }
}

std::string separated_by(std::string_view delimiter) {
  return fmt::format("; the file seems to be separated by {}", delimiter == "\t"   ? std::string("a tab")
                                                               : delimiter.empty() ? std::string("blanks")
                                                                                   : fmt::format("'{}'", delimiter));
}

/// The setting that would read such a file.
std::string delimiter_advice(std::string_view delimiter) {
  if (delimiter.empty()) return "set format = \"whitespace\" under [source]";
  const bool is_tab = delimiter == "\t";
  return fmt::format(
      "set delimiter = \"{}\" under [source]; a file that no import configuration describes may begin with a line "
      "sep={}",
      is_tab ? "\\t" : delimiter, is_tab ? "<tab>" : delimiter);
}

}  // namespace

CsvFile::CsvFile(const std::filesystem::path& path, CsvOptions options)
    : path_(path), options_(std::move(options)), text_(read_text(path, options_.text)) {
  check_utf8(path_, text_);
  split_records(take_separator_line());
  if (records_.empty()) throw DataError(path_.string() + ": the file is empty", "it needs a header line and rows");
  if (options_.format == RowFormat::json_lines) {
    read_keys();
  } else {
    read_header();
  }
  check_header();
}

std::string_view CsvFile::text_of(const Record& record) const {
  return std::string_view(text_).substr(static_cast<size_t>(record.begin),
                                        static_cast<size_t>(record.end - record.begin));
}

/// Excel's first line `sep=;` sets the delimiter, unless the options do. Where the text goes on.
size_t CsvFile::take_separator_line() {
  std::string& delimiter = options_.delimiter;
  const size_t end = find_char(text_, '\n', 0);
  std::string_view line = std::string_view(text_).substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() >= 2 && line.starts_with('"') && line.ends_with('"')) line = line.substr(1, line.size() - 2);
  const bool found = options_.format == RowFormat::delimited && line.size() == 5 &&
                     (line.starts_with("sep=") || line.starts_with("SEP=") || line.starts_with("Sep=")) &&
                     line[4] != '"';
  if (delimiter.empty()) delimiter = found ? line.substr(4) : ",";
  if (options_.format != RowFormat::delimited) delimiter.clear();
  if (found) header_record_.line = 2;
  return found ? std::min(end + 1, text_.size()) : 0;
}

void CsvFile::split_records(size_t begin) {
  const Separator separator{options_.delimiter};
  const std::string_view text = text_;
  for (int64_t line = header_record_.line; begin < text.size();) {
    check_interrupt();
    const bool is_comment = !options_.comment.empty() && text.substr(begin).starts_with(options_.comment);
    const bool plain = is_comment || options_.format == RowFormat::json_lines;
    const size_t end = plain ? find_char(text, '\n', begin) : record_end(text, begin, separator);
    if (end == std::string::npos) {
      throw DataError(fmt::format("{} line {}: a quoted field is never closed", path_.string(), line),
                      "close the quote, or double quotes inside quoted fields");
    }
    if (static_cast<int64_t>(end - begin) > options_.max_line_bytes && !is_comment) {
      throw DataError(fmt::format("{} line {}: the row has {} bytes, more than {}; it begins with '{}'", path_.string(),
                                  line, end - begin, options_.max_line_bytes, shown(text.substr(begin, 200))),
                      "look for a quote that is closed much later; max_line_bytes under [source] allows longer rows");
    }
    const size_t trimmed = end > begin && text[end - 1] == '\r' ? end - 1 : end;
    if (!is_comment && !separator.trimmed(text.substr(begin, trimmed - begin)).empty()) {
      records_.push_back({static_cast<int64_t>(begin), static_cast<int64_t>(trimmed), line});
    }
    line += 1 + std::ranges::count(text.substr(begin, end - begin), '\n');
    begin = end + 1;
  }
}

void CsvFile::read_header() {
  const Separator separator{options_.delimiter};
  Fields fields;
  std::deque<std::string> unquoted;
  const auto n_kept = static_cast<size_t>(options_.max_columns);
  header_record_ = records_.front();
  split_fields(text_of(header_record_), separator, n_kept, fields, unquoted);
  if (fields.count == kBadQuote) throw DataError(width_message(0, kBadQuote), "mend the first line");
  if (fields.count > options_.max_columns) {
    throw DataError(fmt::format("{} line {}: the line has {} columns, more than {}", path_.string(),
                                header_record_.line, fields.count, options_.max_columns),
                    "is this the file of purchases? max_columns under [source] allows more");
  }
  for (const std::string_view field : fields.first) {
    header_.push_back(options_.header ? std::string(trim(field)) : std::to_string(header_.size() + 1));
  }
  if (options_.header) records_.erase(records_.begin());
  // A delimiter at the end of the lines, of the header or of those below.
  if (options_.header && header_.size() > 1 && header_.back().empty()) {
    header_.pop_back();
    ends_with_delimiter_ = true;
  } else if (!records_.empty()) {
    split_fields(raw(0), separator, 0, fields, unquoted);
    ends_with_delimiter_ = fields.count == std::ssize(header_) + 1 && fields.last_is_empty;
  }
}

/// Of JSON lines: all keys, in the order in which they first come.
void CsvFile::read_keys() {
  header_record_ = records_.front();
  std::unordered_set<std::string> known;
  bool found = false;
  for (const Record& record : records_) {
    found |= read_json_object(text_of(record), [&](const std::string& key, const std::string&, bool) {
      if (known.insert(key).second) header_.push_back(key);
    });
    if (std::ssize(header_) > options_.max_columns) {
      throw DataError(fmt::format("{} line {}: more than {} different keys so far", path_.string(), record.line,
                                  options_.max_columns),
                      "is this the file of purchases? max_columns under [source] allows more");
    }
  }
  if (!found) {
    throw DataError(fmt::format("{} line {}: '{}' is not a JSON object, and no later line is one", path_.string(),
                                records_.front().line, shown(raw(0))),
                    "write one object a line, such as {\"user\": \"u1\", \"item\": \"i1\"}; jq -c '.[]' makes such "
                    "lines of a list");
  }
}

void CsvFile::check_header() const {
  std::unordered_set<std::string_view> seen;
  for (const std::string& name : header_) {
    if (name.empty() || seen.insert(name).second) continue;
    throw DataError(fmt::format("{} line {}: the header has a repeated column name '{}'", path_.string(),
                                header_record_.line, shown(name)),
                    "give every column its own name in the first line; if that is no header, set header = false under "
                    "[source] and write numbers of columns under [columns]");
  }
  if (seen.empty()) {
    throw DataError(fmt::format("{} line {}: the header names no column", path_.string(), header_record_.line),
                    "give the columns names in the first line");
  }
}

bool CsvFile::has_column(std::string_view name) const {
  return !name.empty() && std::ranges::find(header_, name) != header_.end();
}

std::optional<std::string_view> CsvFile::likely_delimiter(std::string_view record, std::string_view wanted,
                                                          size_t n_wanted) const {
  static constexpr std::array<std::string_view, 6> kLikely{";", "\t", "|", "::", ",", ""};
  if (options_.format == RowFormat::json_lines) return {};
  std::optional<std::string_view> best;
  int32_t most = 1;
  for (const std::string_view likely : kLikely) {
    if (likely == options_.delimiter) continue;
    Fields fields;
    std::deque<std::string> unquoted;
    split_fields(record, {likely}, static_cast<size_t>(options_.max_columns), fields, unquoted);
    const bool has_name = !wanted.empty() && std::ranges::any_of(fields.first, [&](std::string_view field) {
      return trim(field) == wanted;
    });
    if (fields.count > 1 && (has_name || fields.count == static_cast<int32_t>(n_wanted))) return likely;
    if (fields.count > most && header_.size() == 1 && !likely.empty()) {
      most = fields.count;
      best = likely;
    }
  }
  return best;
}

int64_t CsvFile::column(std::string_view name) const {
  if (has_column(name)) return std::ranges::find(header_, name) - header_.begin();
  const std::string what = fmt::format("{} line {}: no column '{}'", path_.string(), header_record_.line, shown(name));
  const std::string_view first = trim(text_of(header_record_));
  if (options_.format != RowFormat::json_lines) {
    const std::string_view inside = first.starts_with('[') ? trim(first.substr(1)) : first;
    if (inside.starts_with('{') || (inside.empty() && !first.empty())) {
      throw DataError(what + "; the file seems to be JSON",
                      first.starts_with('{')
                          ? "set format = \"jsonl\" under [source]: one object a line"
                          : "write one object a line (jq -c '.[]' FILE) and set format = \"jsonl\" under [source]");
    }
    if (first.starts_with('<')) {
      throw DataError(what + "; the file seems to be a page of HTML or XML", "fetch the table itself, as CSV");
    }
    if (options_.comment.empty() && (first.starts_with('#') || first.starts_with('%') || first.starts_with("//"))) {
      const std::string_view mark = first.substr(0, first.starts_with('/') ? 2 : 1);
      throw DataError(fmt::format("{}; the first line is '{}'", what, shown(first)),
                      fmt::format("if it is a comment, set comment = \"{}\" under [source]", mark));
    }
    if (const auto likely = likely_delimiter(text_of(header_record_), name, 0)) {
      throw DataError(what + separated_by(*likely), delimiter_advice(*likely));
    }
    const auto is_number = [](const std::string& field) {
      double value = 0.0;
      return parse_number(field, value) == NumberStatus::ok;
    };
    if (options_.header && std::ranges::any_of(header_, is_number)) {
      throw DataError(fmt::format("{}; the first line is '{}', which does not look like names", what, shown(first)),
                      "if that is no header, set header = false under [source] and write numbers of columns under "
                      "[columns]");
    }
  }
  throw DataError(fmt::format("{}; it has: {}", what, shown_list(header_)),
                  fmt::format("did you mean '{}'?", shown(nearest(name, header_))));
}

CsvColumns CsvFile::parse(const std::vector<int64_t>& positions, const Context& context) const {
  CsvColumns columns;
  columns.values.assign(positions.size(), std::vector<std::string_view>(static_cast<size_t>(n_rows())));
  columns.n_fields.resize(static_cast<size_t>(n_rows()));
  columns.unquoted.resize(static_cast<size_t>((n_rows() + kCsvChunk - 1) / kCsvChunk));
  const auto width = static_cast<int32_t>(header_.size());
  const Separator separator{options_.delimiter};
  const size_t n_kept = positions.empty() ? 0 : static_cast<size_t>(*std::ranges::max_element(positions)) + 1;

  const auto take_row = [&](size_t row, Fields& fields, std::deque<std::string>& unquoted) {
    split_fields(raw(static_cast<int64_t>(row)), separator, n_kept, fields, unquoted);
    const bool ends = ends_with_delimiter_ && fields.last_is_empty && fields.count == width + 1;
    for (size_t c = 0; c < positions.size(); ++c) {
      const auto position = static_cast<size_t>(positions[c]);
      if (position < fields.first.size()) columns.values[c][row] = fields.first[position];
    }
    return ends ? width : fields.count;
  };
  const auto take_object = [&](size_t row, std::deque<std::string>& unquoted) {
    int32_t count = width;
    const auto take = [&](const std::string& key, std::string text, bool is_nested) {
      const std::string* kept = nullptr;
      for (size_t c = 0; c < positions.size(); ++c) {
        if (header_[static_cast<size_t>(positions[c])] != key) continue;
        if (kept == nullptr) kept = &unquoted.emplace_back(std::move(text));
        columns.values[c][row] = *kept;
        if (is_nested) count = kNestedValue;
      }
    };
    return read_json_object(raw(static_cast<int64_t>(row)), take) ? count : kNoObject;
  };
  parallel_for(context, n_rows(), kCsvChunk, [&](int64_t begin, int64_t end) {
    Fields fields;
    auto& unquoted = columns.unquoted[static_cast<size_t>(begin / kCsvChunk)];
    for (auto row = static_cast<size_t>(begin); row < static_cast<size_t>(end); ++row) {
      columns.n_fields[row] =
          options_.format == RowFormat::json_lines ? take_object(row, unquoted) : take_row(row, fields, unquoted);
    }
  });
  return columns;
}

int32_t CsvFile::fields(int64_t row, std::vector<std::string_view>& fields, std::deque<std::string>& unquoted) const {
  if (options_.format == RowFormat::json_lines) {
    fields.assign(header_.size(), {});
    const auto take = [&](const std::string& key, std::string text, bool) {
      const auto at = static_cast<size_t>(std::ranges::find(header_, key) - header_.begin());
      if (at < fields.size()) fields[at] = unquoted.emplace_back(std::move(text));
    };
    return read_json_object(raw(row), take) ? static_cast<int32_t>(fields.size()) : kNoObject;
  }
  Fields split;
  split_fields(raw(row), {options_.delimiter}, std::numeric_limits<size_t>::max(), split, unquoted);
  fields = std::move(split.first);
  return split.count;
}

std::string CsvFile::width_message(int64_t row, int32_t found) const {
  const std::string where = fmt::format("{} line {}: ", path_.string(), line(row));
  if (found == kBadQuote) return where + "text after a closing quote";
  if (found == kNoObject) return where + fmt::format("'{}' is not a JSON object", shown(raw(row)));
  if (found == kNestedValue) return where + "a column that is used holds a list or an object";
  const std::string what = where + fmt::format("{} fields, expected {}", found, header_.size());
  const auto likely = found == 1 ? likely_delimiter(raw(row), {}, header_.size()) : std::nullopt;
  return likely ? what + separated_by(*likely) : what;
}

}  // namespace sheaf::text
