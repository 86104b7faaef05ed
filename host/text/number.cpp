#include "host/text/number.hpp"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace sheaf::text {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Bytes of the thousands separator at the beginning of `text`; 0 if there is none.
size_t separator_length(std::string_view text, const std::string& thousands) {
  if (thousands.empty()) return 0;
  if (text.starts_with(thousands)) return thousands.size();
  if (thousands != " ") return 0;
  for (const std::string_view space : {"\xc2\xa0", "\xe2\x80\xaf"}) {
    if (text.starts_with(space)) return space.size();
  }
  return 0;
}

/// The number with a decimal point and without separators; empty if they stand where none can be.
std::string plain_number(std::string_view text, const NumberFormat& format) {
  constexpr size_t kGroup = 3;
  std::string plain;
  size_t digits = 0;  // since the last separator, or since the beginning
  bool grouped = false, after_decimal = false;
  const auto ends_group = [&] { return !grouped || digits == kGroup; };
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (const size_t length = separator_length(text.substr(at), format.thousands); length > 0 && !after_decimal) {
      if (digits == 0 || digits > kGroup || (grouped && digits == 1)) return {};
      grouped = true;
      digits = 0;
      at += length;
      continue;
    }
    if (is_digit(c)) {
      ++digits;
    } else {
      if (!ends_group() || (c == '.' && c != format.decimal)) return {};
      grouped = false;
      after_decimal = after_decimal || c == format.decimal || c == 'e' || c == 'E';
    }
    plain.push_back(c == format.decimal ? '.' : c);
    ++at;
  }
  return ends_group() ? plain : std::string();
}

NumberStatus parse_plain(std::string_view text, double& value) {
  if (text.front() == '+' && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = fast_float::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return NumberStatus::malformed;
  return std::isfinite(value) ? NumberStatus::ok : NumberStatus::not_finite;
}

}  // namespace

std::string_view trim(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

NumberStatus parse_number(std::string_view text, double& value, const NumberFormat& format) {
  text = trim(text);
  if (text.empty()) return NumberStatus::empty;
  if (format.decimal == '.' && format.thousands.empty()) return parse_plain(text, value);
  const std::string plain = plain_number(text, format);
  return plain.empty() ? NumberStatus::malformed : parse_plain(plain, value);
}

std::string number_advice(std::string_view text, const NumberFormat& format) {
  std::string advice;
  for (const char decimal : {format.decimal, format.decimal == '.' ? ',' : '.'}) {
    for (const char* thousands : {"", ",", ".", " ", "'", "’", "_"}) {
      double value = 0.0;
      if (std::string_view(thousands) == std::string_view(&decimal, 1)) continue;
      if (parse_number(text, value, {decimal, thousands}) != NumberStatus::ok) continue;
      const bool other_decimal = decimal != format.decimal, other_thousands = thousands != format.thousands;
      std::string keys;
      if (other_decimal) keys += fmt::format("decimal = \"{}\"", decimal);
      if (other_thousands) keys += fmt::format("{}thousands = \"{}\"", keys.empty() ? "" : " and ", thousands);
      advice += fmt::format("{} {} if it is {}", advice.empty() ? "under [source] set" : ", or", keys, value);
      break;  // a further separator that does not occur says nothing new
    }
  }
  return advice;
}

}  // namespace sheaf::text
