#pragma once
/// Text of a file as messages show it: short, on one line, and without bytes that a terminal would obey.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace sheaf::text {

/// Bytes of the UTF-8 character at `at`, 0 if it is none (Unicode 15, table 3-7).
size_t utf8_length(std::string_view text, size_t at);

/// At most `width` characters, with an ellipsis where something is missing. Control characters (NUL too, which would
/// end the message) and bytes that are not UTF-8 stand as \x1b.
std::string shown(std::string_view text, size_t width = 40);

/// "a, b, c, and 12 more": at most 20 names, each as shown() gives it.
std::string shown_list(std::span<const std::string> names);

}  // namespace sheaf::text
