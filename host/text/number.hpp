#pragma once
/// Numbers as people and programs write them.

#include <cstdint>
#include <string>
#include <string_view>

namespace sheaf::text {

/// How a file writes numbers: 1234.5 by default; "1.234,5" with the decimal mark ',' and the thousands separator ".".
struct NumberFormat {
  char decimal = '.';
  std::string thousands = {};  // empty: none; " " stands for no-break spaces (U+00A0, U+202F), too
};

enum class NumberStatus : uint8_t { ok, empty, malformed, not_finite };

/// A whole field as a number: surrounding blanks are allowed, anything else that is left over is malformed. Thousands
/// separators stand between digits and before exactly three of them (two are allowed but before the last three:
/// 12,34,567). A number too small for a double is 0, one too large is not finite.
NumberStatus parse_number(std::string_view text, double& value, const NumberFormat& format = {});

/// Which setting of the import configuration would make a malformed number good; empty if none would.
std::string number_advice(std::string_view text, const NumberFormat& format);

/// Without blanks (spaces and tabs) at either end.
std::string_view trim(std::string_view text);

}  // namespace sheaf::text
