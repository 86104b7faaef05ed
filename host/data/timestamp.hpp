#pragma once
/// Times as text, as seconds since 1970-01-01 00:00:00: of UTC where the text has an offset, else in whatever zone the
/// text is in. Fractions of a second are cut off.

#include <cstdint>
#include <string>
#include <string_view>

namespace sheaf::data {

/// Empty if parse_timestamp knows `format`, else what is wrong with it. A format is one of these words:
///   iso8601       2024-01-31, 2024-01-31T18:05:00.123+01:00, 20240131T180500Z, 2024-01-31 18:05:00 UTC
///   seconds, milliseconds, microseconds, nanoseconds, days  a count since 1970
///   excel         serial days of Excel and their fraction: 45322.75 is 2024-01-31 18:00:00
/// or a pattern: %Y (4 digits) %y (2 digits: 69-99 are 19..) %m %d %H %I %M %S (1 or 2 digits), %p (AM or PM),
/// %f (1 to 9 digits of a second), %b %B (English months, short or whole), %a %A (English weekdays, which are not
/// checked), %z (+0100, +01:00, +01, Z, UTC), %s (seconds since 1970, alone), %%; anything else stands for itself. A
/// pattern needs %s, or a year, a month and %d.
std::string timestamp_format_problem(std::string_view format);

/// "2024-01-31 18:05:00", and "2024-01-31" at midnight; outside the years 0 to 9999 "about the year 55970".
std::string time_text(int64_t seconds);

/// Seconds of the beginning of a year.
int64_t start_of_year(int64_t year);

/// False if the whole of `text` does not match or is no date that exists. `has_offset`: whether the text names its
/// zone.
bool parse_timestamp(std::string_view text, std::string_view format, int64_t& seconds, bool* has_offset = nullptr);

}  // namespace sheaf::data
