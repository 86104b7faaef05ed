#pragma once
/// Times of a fixed format, as seconds since 1970-01-01 00:00:00 in whatever zone the text is in.

#include <cstdint>
#include <string>
#include <string_view>

namespace sheaf::data {

/// Empty if parse_timestamp knows `format`, else what is wrong with it. %Y (4 digits) %y (2 digits: 69-99 are 19..) %m
/// %d %H %M %S (1 or 2 digits), %s (seconds since 1970), %%; anything else stands for itself. It needs %s, or a year,
/// %m and %d.
std::string timestamp_format_problem(std::string_view format);

/// "2024-01-31 18:05:00", and "2024-01-31" at midnight; outside the years 0 to 9999 "about the year 55970".
std::string time_text(int64_t seconds);

/// Seconds of the beginning of a year.
int64_t start_of_year(int64_t year);

/// False if the whole of `text` does not match or is no date that exists.
bool parse_timestamp(std::string_view text, std::string_view format, int64_t& seconds);

}  // namespace sheaf::data
