#pragma once
/// Whether the times of a file can be what they say. A wrong format, a wrong unit or a wrong receipt number gives times
/// that are read without an error and shift the split. Part of the importer.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/data/import.hpp"
#include "host/data/rows.hpp"

namespace sheaf::data {

/// The years that [timestamp] expects.
struct TimeLimits {
  int64_t first_year, last_year;
  int64_t begin, end;  // seconds; `end` is the first after the last year

  bool contains(int64_t seconds) const { return seconds >= begin && seconds < end; }
};
/// From first_year (1900) to last_year (the year after this one, by the clock).
TimeLimits time_limits(const ImportConfig::Timestamp& config);

/// What formats make of a text.
struct TimeReading {
  /// ambiguous: `format` and `other` make different times of it; other_years: formats match, but no year is expected.
  enum class Status { ok, no_match, other_years, ambiguous };
  Status status = Status::no_match;
  size_t format = 0, other = 0;
  int64_t seconds = 0, other_seconds = 0;
  bool has_offset = false;
};
/// The first format that matches with a year of `limits`; all others must agree with it or match with no such year.
TimeReading read_time(std::string_view text, const std::vector<std::string>& formats, const TimeLimits& limits);

/// What a text may be that is no time of `formats` or one of no plausible year: "as milliseconds since 1970 it is
/// 2024-01-01 (format = "milliseconds")". Empty if nothing fits.
std::string likely_meaning(std::string_view text, const std::vector<std::string>& formats);

/// DataError where a format counts seconds, days or the like, all times that it reads in the kept rows are before 1980,
/// and another unit or dates like 20240131 make plausible times of all of them.
void check_unit(const Rows& rows, const ImportConfig& config, const std::vector<int64_t>& kept);

/// First and last time and baskets of each part, and the borders of a temporal split, into `report`; and warnings: an
/// almost empty part, baskets over several days or shared by users at different times, days that may be months, times
/// with and without an offset, a gap of a year, times to come, most rows older than a decade. `kept` are in the order
/// of time; `last` is the last time before users and items were thinned, from which the split counts.
void judge_times(const Rows& rows, const ImportConfig& config, const std::vector<int64_t>& kept,
                 const std::vector<uint8_t>& split, int64_t last, ImportReport& report);

}  // namespace sheaf::data
