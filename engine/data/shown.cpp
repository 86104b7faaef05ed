#include "engine/data/shown.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sheaf::text {

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

std::string shown(std::string_view text, size_t width) {
  std::string out;
  size_t characters = 0;
  for (size_t at = 0; at < text.size(); ++characters) {
    if (characters == width) return out + "…";
    const size_t length = utf8_length(text, at);
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const bool is_control = (length == 1 && (byte(0) < 0x20 || byte(0) == 0x7f)) ||
                            (length == 2 && byte(0) == 0xc2 && byte(1) < 0xa0);  // U+0080 to U+009F
    const size_t taken = length == 0 ? 1 : length;
    for (size_t i = 0; i < taken; ++i) {
      if (length == 0 || is_control) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned>(byte(i)));
      } else {
        out.push_back(text[at + i]);
      }
    }
    at += taken;
  }
  return out;
}

std::string shown_list(std::span<const std::string> names) {
  constexpr size_t kMost = 20;
  std::string out;
  for (const std::string& name : names.first(std::min(names.size(), kMost))) {
    out += (out.empty() ? "" : ", ") + shown(name);
  }
  return names.size() > kMost ? fmt::format("{}, and {} more", out, names.size() - kMost) : out;
}

}  // namespace sheaf::text
