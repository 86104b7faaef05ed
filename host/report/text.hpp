#pragma once
/// Text for people: widths count characters (of UTF-8), not bytes.

#include <cstdint>
#include <string>

namespace sheaf::report {

size_t width_of(const std::string& text);
/// Cut to `width` characters, with an ellipsis where something is missing.
std::string shortened(const std::string& text, size_t width);
/// Thousands separated by commas.
std::string with_commas(int64_t n);

}  // namespace sheaf::report
