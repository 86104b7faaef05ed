#include "host/data/values.hpp"

#include <algorithm>
#include <array>

namespace sheaf::data {
namespace {

// In UTF-8: no-break space, ideographic space, narrow no-break space, byte order mark.
constexpr std::array<std::string_view, 4> kWideBlanks{"\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\xaf", "\xef\xbb\xbf"};

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Bytes of the blank that `text` begins (or ends) with; 0 if it is none.
size_t blank_at(std::string_view text, bool end) {
  if (text.empty()) return 0;
  const char c = end ? text.back() : text.front();
  if (is_blank(c)) return 1;
  if (static_cast<unsigned char>(c) < 0x80) return 0;
  const auto found = std::ranges::find_if(
      kWideBlanks, [&](std::string_view blank) { return end ? text.ends_with(blank) : text.starts_with(blank); });
  return found == kWideBlanks.end() ? 0 : found->size();
}

}  // namespace

std::string_view without_blanks(std::string_view text) {
  while (const size_t n = blank_at(text, false)) text.remove_prefix(n);
  while (const size_t n = blank_at(text, true)) text.remove_suffix(n);
  return text;
}

ValueReader::ValueReader(const ImportConfig::Clean& clean) : markers_(clean.missing), trim_(clean.trim) {
  for (const std::string& marker : markers_) longest_ = std::max(longest_, marker.size());
}

std::string_view ValueReader::read(std::string_view value, int64_t row, ColumnValues& found) const {
  if (value.empty()) return value;
  const std::string_view bare = without_blanks(value);
  if (bare.empty()) {
    found.missing.back().add(row);
    return bare;
  }
  const auto marker = bare.size() > longest_ ? markers_.end() : std::ranges::find(markers_, bare);
  if (marker != markers_.end()) {
    found.missing[static_cast<size_t>(marker - markers_.begin())].add(row);
    return {};
  }
  if (bare.size() != value.size()) found.padded.add(row);
  return trim_ ? bare : value;
}

void ValueReader::read(std::vector<std::string_view>& values, ColumnValues& found) const {
  for (size_t row = 0; row < values.size(); ++row) values[row] = read(values[row], static_cast<int64_t>(row), found);
}

}  // namespace sheaf::data
