#include "host/text/format.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sheaf::text {
namespace {

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

}  // namespace

size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string shortened(const std::string& text, size_t width) {
  if (width_of(text) <= width) return text;
  size_t bytes = 0, characters = 0;
  while (bytes < text.size()) {
    if (starts_character(text[bytes]) && ++characters == width) break;
    ++bytes;
  }
  return text.substr(0, bytes) + "…";
}

std::string with_commas(int64_t n) {
  std::string digits = std::to_string(n);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > (n < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string with_interval(const Interval& i) {
  return fmt::format("{:.2f} ({:.2f} to {:.2f})", i.expected, i.low, i.high);
}

}  // namespace sheaf::text
