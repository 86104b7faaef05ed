#include "host/text/csv.hpp"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/data/nearest.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::text {
namespace {

constexpr int32_t kBadQuote = -1;  // in n_fields: text after a closing quote
constexpr int64_t kCsvChunk = 4096;

size_t find_char(std::string_view text, char c, size_t from) {
  if (from >= text.size()) return text.size();
  const void* found = std::memchr(text.data() + from, c, text.size() - from);
  return found == nullptr ? text.size() : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

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
size_t record_end(std::string_view text, size_t begin, char delimiter) {
  const size_t line_end = find_char(text, '\n', begin);
  if (find_char(text.substr(0, line_end), '"', begin) == line_end) return line_end;
  for (size_t at = begin;;) {
    if (at < text.size() && text[at] == '"') at = skip_quoted(text, at);
    if (at == std::string_view::npos) return at;
    while (at < text.size() && text[at] != delimiter && text[at] != '\n') ++at;
    if (at == text.size() || text[at] == '\n') return at;
    ++at;
  }
}

/// Fields of one record; their number, or kBadQuote.
int32_t split_fields(std::string_view record, char delimiter, std::vector<std::string_view>& fields,
                     std::deque<std::string>& unquoted) {
  fields.clear();
  for (size_t at = 0;;) {
    size_t end = 0;
    if (at < record.size() && record[at] == '"') {
      end = skip_quoted(record, at);
      if (end == std::string_view::npos || (end < record.size() && record[end] != delimiter)) return kBadQuote;
      std::string_view inside = record.substr(at + 1, end - at - 2);
      if (inside.find('"') != std::string_view::npos) {
        std::string& plain = unquoted.emplace_back();
        for (size_t i = 0; i < inside.size(); ++i) {
          plain.push_back(inside[i]);
          if (inside[i] == '"') ++i;
        }
        inside = plain;
      }
      fields.push_back(inside);
    } else {
      end = find_char(record, delimiter, at);
      fields.push_back(record.substr(at, end - at));
    }
    if (end == record.size()) return static_cast<int32_t>(fields.size());
    at = end + 1;
  }
}

std::string latin1_to_utf8(const std::string& text) {
  std::string out;
  out.reserve(text.size() + text.size() / 16);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out.push_back(c);
    } else {
      out.push_back(static_cast<char>(0xc0 | (byte >> 6)));
      out.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
    }
  }
  return out;
}

/// Bytes of the UTF-8 character at `at`, 0 if it is not one (Unicode 15, table 3-7).
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return follows(at + 1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool second = follows(at + 1, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf);
    return second && follows(at + 2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = follows(at + 1, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf);
    return second && follows(at + 2) && follows(at + 3) ? 4 : 0;
  }
  return 0;
}

void check_utf8(const std::filesystem::path& path, std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    uint64_t eight = 0;
    if (at + sizeof(eight) <= text.size()) {
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if ((eight & 0x8080808080808080u) == 0) {
        at += sizeof(eight);
        continue;
      }
    }
    const size_t length = utf8_length(text, at);
    if (length == 0) {
      const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
      throw DataError(fmt::format("{} line {}: byte 0x{:02x} is not UTF-8", path.string(), line,
                                  static_cast<unsigned>(static_cast<unsigned char>(text[at]))),
                      "set encoding = \"latin1\" under [source], or convert the file");
    }
    at += length;
  }
}

}  // namespace

CsvFile::CsvFile(const std::filesystem::path& path, CsvOptions options)
    : path_(path), options_(options), text_(read_text(path)) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (std::string_view(text_).starts_with(kByteOrderMark)) {
    text_.erase(0, kByteOrderMark.size());
  } else if (options_.encoding == Encoding::latin1) {
    text_ = latin1_to_utf8(text_);
  }
  check_utf8(path_, text_);
  split_records();
  if (records_.empty()) throw DataError(path_.string() + ": the file is empty", "it needs a header line and rows");
  read_header();
}

void CsvFile::split_records() {
  int64_t line = 1;
  for (size_t begin = 0; begin < text_.size();) {
    check_interrupt();
    const size_t end = record_end(text_, begin, options_.delimiter);
    if (end == std::string::npos) {
      throw DataError(fmt::format("{} line {}: a quoted field is never closed", path_.string(), line),
                      "close the quote, or double quotes inside quoted fields");
    }
    const size_t trimmed = end > begin && text_[end - 1] == '\r' ? end - 1 : end;
    if (trimmed > begin) records_.push_back({static_cast<int64_t>(begin), static_cast<int64_t>(trimmed), line});
    const auto first = text_.begin() + static_cast<std::ptrdiff_t>(begin);
    line += 1 + std::count(first, text_.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    begin = end + 1;
  }
}

void CsvFile::read_header() {
  std::vector<std::string_view> fields;
  std::deque<std::string> unquoted;
  if (split_fields(raw(0), options_.delimiter, fields, unquoted) == kBadQuote) {
    throw DataError(width_message(0, kBadQuote), "mend the first line");
  }
  if (!options_.header) {
    for (size_t f = 1; f <= fields.size(); ++f) header_.push_back(std::to_string(f));
    return;
  }
  for (const std::string_view field : fields) {
    const std::string name(trim(field));
    if (name.empty() || std::ranges::find(header_, name) != header_.end()) {
      throw DataError(fmt::format("{} line {}: the header has {} column name{}", path_.string(), line(0),
                                  name.empty() ? "an empty" : "a repeated", name.empty() ? "" : " '" + name + "'"),
                      "give every column its own name in the first line; if that is no header, set header = false "
                      "under [source] and write numbers of columns under [columns]");
    }
    header_.push_back(name);
  }
  records_.erase(records_.begin());
}

std::string_view CsvFile::raw(int64_t row) const {
  const Record& record = records_[static_cast<size_t>(row)];
  return std::string_view(text_).substr(static_cast<size_t>(record.begin),
                                        static_cast<size_t>(record.end - record.begin));
}

int64_t CsvFile::column(std::string_view name) const {
  const auto found = std::ranges::find(header_, name);
  if (found == header_.end()) {
    throw DataError(fmt::format("{}: no column '{}'; it has: {}", path_.string(), name, text::join(header_)),
                    fmt::format("did you mean '{}'?", text::nearest(name, header_)));
  }
  return found - header_.begin();
}

CsvColumns CsvFile::parse(const std::vector<int64_t>& positions, const Context& context) const {
  CsvColumns columns;
  columns.values.assign(positions.size(), std::vector<std::string_view>(static_cast<size_t>(n_rows())));
  columns.n_fields.resize(static_cast<size_t>(n_rows()));
  columns.unquoted.resize(static_cast<size_t>((n_rows() + kCsvChunk - 1) / kCsvChunk));
  parallel_for(context, n_rows(), kCsvChunk, [&](int64_t begin, int64_t end) {
    std::vector<std::string_view> fields;
    auto& unquoted = columns.unquoted[static_cast<size_t>(begin / kCsvChunk)];
    for (int64_t row = begin; row < end; ++row) {
      const int32_t found = split_fields(raw(row), options_.delimiter, fields, unquoted);
      columns.n_fields[static_cast<size_t>(row)] = found;
      for (size_t c = 0; c < positions.size(); ++c) {
        const auto position = static_cast<size_t>(positions[c]);
        if (position < fields.size()) columns.values[c][static_cast<size_t>(row)] = fields[position];
      }
    }
  });
  return columns;
}

int32_t CsvFile::fields(int64_t row, std::vector<std::string_view>& fields, std::deque<std::string>& unquoted) const {
  return split_fields(raw(row), options_.delimiter, fields, unquoted);
}

std::string CsvFile::width_message(int64_t row, int32_t found) const {
  if (found == kBadQuote) return fmt::format("{} line {}: text after a closing quote", path_.string(), line(row));
  return fmt::format("{} line {}: {} fields, expected {}", path_.string(), line(row), found, header_.size());
}

std::string_view trim(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

NumberStatus parse_number(std::string_view text, double& value) {
  text = trim(text);
  if (text.empty()) return NumberStatus::empty;
  if (text.front() == '+' && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = fast_float::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return NumberStatus::malformed;
  return error == std::errc() && std::isfinite(value) ? NumberStatus::ok : NumberStatus::not_finite;
}

}  // namespace sheaf::text
