#pragma once
/// Text for people: widths count characters (of UTF-8), not bytes.

#include <cstdint>
#include <string>

#include "engine/bundles/increment.hpp"

namespace sheaf::text {

size_t width_of(const std::string& text);
/// Cut to `width` characters, with an ellipsis where something is missing.
std::string shortened(const std::string& text, size_t width);
/// Thousands separated by commas.
std::string with_commas(int64_t n);
/// "-7.31 (-7.90 to -6.60)"
std::string with_interval(const Interval& interval);

}  // namespace sheaf::text
