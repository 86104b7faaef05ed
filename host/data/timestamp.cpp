#include "host/data/timestamp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <span>
#include <vector>

#include "engine/data/nearest.hpp"
#include "host/text/csv.hpp"

namespace sheaf::data {
namespace {

constexpr int64_t kSecondsPerDay = 86'400;
constexpr double kExcelEpoch = 25'569.0;  // the serial day of 1970-01-01

constexpr std::array<std::string_view, 12> kMonths{"january",   "february", "march",    "april",
                                                   "may",       "june",     "july",     "august",
                                                   "september", "october",  "november", "december"};
constexpr std::array<std::string_view, 7> kWeekdays{"monday", "tuesday",  "wednesday", "thursday",
                                                    "friday", "saturday", "sunday"};

/// A count since 1970.
struct Count {
  std::string_view name;
  int64_t per_second;
};
constexpr std::array<Count, 4> kCounts{
    {{"seconds", 1}, {"milliseconds", 1'000}, {"microseconds", 1'000'000}, {"nanoseconds", 1'000'000'000}}};

struct TimeParts {
  int64_t year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, offset = 0;  // offset in seconds
  bool has_offset = false;
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Takes 1 to `max_digits` digits (exactly that many if `exact`) from the front.
bool take_digits(std::string_view& text, size_t max_digits, bool exact, int64_t& value) {
  size_t n = 0;
  value = 0;
  while (n < max_digits && n < text.size() && is_digit(text[n])) value = value * 10 + (text[n++] - '0');
  text.remove_prefix(n);
  return exact ? n == max_digits : n > 0;
}

bool take_char(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// Takes a word from the front, in any case.
bool take_word(std::string_view& text, std::string_view word) {
  if (text.size() < word.size() || !std::ranges::equal(text.substr(0, word.size()), word, {}, lower)) return false;
  text.remove_prefix(word.size());
  return true;
}

/// Takes one of `names`, whole or its first three letters ("Sept", too); `value` counts from 1.
bool take_name(std::string_view& text, std::span<const std::string_view> names, int64_t& value) {
  for (const std::string_view name : names) {
    ++value;
    if (take_word(text, name)) return true;
  }
  value = 0;
  for (const std::string_view name : names) {
    ++value;
    if ((name == "september" && take_word(text, "sept")) || take_word(text, name.substr(0, 3))) return true;
  }
  return false;
}

bool take_fraction(std::string_view& text) {
  constexpr size_t kMaxDigits = 9;
  int64_t ignored = 0;
  return take_digits(text, kMaxDigits, false, ignored);
}

/// Z, UTC, GMT, +01, +0100, +01:00.
bool take_offset(std::string_view& text, TimeParts& time) {
  time.has_offset = true;
  if (take_word(text, "utc") || take_word(text, "gmt") || take_word(text, "z")) return true;
  const bool behind = !text.empty() && text.front() == '-';
  if (!take_char(text, behind ? '-' : '+')) return false;
  constexpr int64_t kMaxHours = 14;  // of the Line Islands
  int64_t hours = 0, minutes = 0;
  if (!take_digits(text, 2, true, hours) || hours > kMaxHours) return false;
  if ((take_char(text, ':') || (!text.empty() && is_digit(text.front()))) &&
      (!take_digits(text, 2, true, minutes) || minutes > 59)) {
    return false;
  }
  time.offset = (behind ? -60 : 60) * (hours * 60 + minutes);
  return true;
}

/// ISO 8601, extended or basic, and with a blank in place of the T.
bool parse_iso8601(std::string_view text, TimeParts& time) {
  if (!take_digits(text, 4, true, time.year)) return false;
  const bool extended = take_char(text, '-');
  if (!take_digits(text, 2, true, time.month) || (extended && !take_char(text, '-'))) return false;
  if (!take_digits(text, 2, true, time.day)) return false;
  if (text.empty()) return true;
  if (!take_char(text, 'T') && !take_char(text, 't') && !take_char(text, ' ')) return false;
  if (!take_digits(text, 2, true, time.hour)) return false;
  const bool colons = take_char(text, ':');
  if (colons || (!text.empty() && is_digit(text.front()))) {
    if (!take_digits(text, 2, true, time.minute)) return false;
    if (colons ? take_char(text, ':') : !text.empty() && is_digit(text.front())) {
      if (!take_digits(text, 2, true, time.second)) return false;
      if ((take_char(text, '.') || take_char(text, ',')) && !take_fraction(text)) return false;
    }
  }
  if (text.empty()) return true;
  (void)take_char(text, ' ');
  return take_offset(text, time) && text.empty();
}

bool parse_pattern(std::string_view text, std::string_view format, TimeParts& time) {
  int64_t half = 0, ignored = 0;  // of the day: 1 is AM, 2 is PM
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      if (!take_char(text, format[i])) return false;
      continue;
    }
    bool good = false;
    switch (format[++i]) {
      case 'Y': good = take_digits(text, 4, true, time.year); break;
      case 'y':
        good = take_digits(text, 2, true, time.year);
        time.year += time.year < 69 ? 2000 : 1900;  // POSIX
        break;
      case 'm': good = take_digits(text, 2, false, time.month); break;
      case 'b':
      case 'B':
        time.month = 0;
        good = take_name(text, kMonths, time.month);
        break;
      case 'a':
      case 'A': good = take_name(text, kWeekdays, ignored = 0); break;
      case 'd': good = take_digits(text, 2, false, time.day); break;
      case 'H': good = take_digits(text, 2, false, time.hour); break;
      case 'I': good = take_digits(text, 2, false, time.hour) && time.hour >= 1 && time.hour <= 12; break;
      case 'p':
        half = take_word(text, "am") || take_word(text, "a.m.") ? 1 : 2;
        good = half == 1 || take_word(text, "pm") || take_word(text, "p.m.");
        break;
      case 'M': good = take_digits(text, 2, false, time.minute); break;
      case 'S': good = take_digits(text, 2, false, time.second); break;
      case 'f': good = take_fraction(text); break;
      case 'z': good = take_offset(text, time); break;
      default: good = take_char(text, '%');
    }
    if (!good) return false;
  }
  if (half != 0) time.hour = time.hour % 12 + (half == 2 ? 12 : 0);
  return text.empty();
}

bool to_seconds(const TimeParts& time, int64_t& seconds) {
  if (time.hour > 23 || time.minute > 59 || time.second > 60) return false;  // 60: a leap second
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(time.year)),
                                         std::chrono::month(static_cast<unsigned>(time.month)),
                                         std::chrono::day(static_cast<unsigned>(time.day))};
  if (!date.ok()) return false;
  const auto days = static_cast<int64_t>(std::chrono::sys_days(date).time_since_epoch().count());
  seconds = ((days * 24 + time.hour) * 60 + time.minute) * 60 + time.second - time.offset;
  return true;
}

/// A count of a unit, with a fraction or without; exact for every whole number of 64 bits.
bool parse_count(std::string_view text, int64_t per_second, int64_t& seconds) {
  int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc()) return false;
  const bool negative = text.front() == '-';
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  bool part = false;  // whether the fraction is more than nothing
  if (!text.empty()) {
    if (!take_char(text, '.') || text.empty() || !std::ranges::all_of(text, is_digit)) return false;
    part = text.find_first_not_of('0') != text.npos;
  }
  seconds = count / per_second;
  if (negative && (count % per_second != 0 || part)) --seconds;
  return true;
}

/// %s, and perhaps a text before it.
bool counts_seconds(std::string_view format) { return format.ends_with("%s") && format.find('%') + 2 == format.size(); }

/// Days and their fraction since 1970 or, as Excel counts, since the day before 1900.
bool parse_days(std::string_view text, bool excel, int64_t& seconds) {
  double days = 0.0;
  if (text::parse_number(text, days) != text::NumberStatus::ok) return false;
  if (excel) {
    constexpr double kLeapDay = 60.0, kEnd = 2'958'466.0;  // 1900-02-29, which was none, and the day after 9999-12-31
    if (days < 1.0 || days >= kEnd || std::floor(days) == kLeapDay) return false;
    days -= days < kLeapDay ? kExcelEpoch - 1.0 : kExcelEpoch;
  }
  constexpr double kMostDays = 1e9;
  if (std::abs(days) > kMostDays) return false;
  seconds = std::llround(days * static_cast<double>(kSecondsPerDay));
  return true;
}

}  // namespace

std::string timestamp_format_problem(std::string_view format) {
  const std::vector<std::string> words{"iso8601",     "seconds", "milliseconds", "microseconds",
                                       "nanoseconds", "days",    "excel"};
  if (std::ranges::find(words, format) != words.end()) return {};
  constexpr std::string_view kKnown = "YymbBaAdHIMSfpzs%";
  std::string seen;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    const char letter = ++i < format.size() ? format[i] : '\0';
    if (letter == '\0') return "ends with %";
    if (kKnown.find(letter) == kKnown.npos) {
      return fmt::format("%{} is not one of %Y %y %m %b %B %d %a %A %H %I %M %S %f %p %z %s %%", letter);
    }
    seen.push_back(letter);
  }
  if (seen.empty()) return fmt::format("has no % and is none of {}", text::join(words));
  const auto has = [&](char letter) { return seen.find(letter) != seen.npos; };
  if (has('I') != has('p')) return "needs %I and %p together: hours from 1 to 12, and AM or PM";
  if (has('I') && has('H')) return "has %H and %I: hours of both kinds";
  if (has('s')) return counts_seconds(format) ? std::string() : "has more than %s, which stands alone";
  if ((has('Y') || has('y')) && (has('m') || has('b') || has('B')) && has('d')) return {};
  return "needs %s, or %Y (or %y), %m (or %b) and %d";
}

bool parse_timestamp(std::string_view text, std::string_view format, int64_t& seconds, bool* has_offset) {
  if (has_offset != nullptr) *has_offset = false;
  TimeParts time;
  if (counts_seconds(format)) {
    const std::string_view before = format.substr(0, format.size() - 2);
    if (!text.starts_with(before)) return false;
    return parse_count(text.substr(before.size()), 1, seconds);
  }
  if (format.find('%') != format.npos) {
    if (!parse_pattern(text, format, time)) return false;
  } else if (format == "iso8601") {
    if (!parse_iso8601(text, time)) return false;
  } else if (format == "excel" || format == "days") {
    return parse_days(text, format == "excel", seconds);
  } else {
    const auto unit = std::ranges::find(kCounts, format, &Count::name);
    return unit != kCounts.end() && parse_count(text, unit->per_second, seconds);
  }
  if (has_offset != nullptr) *has_offset = time.has_offset;
  return to_seconds(time, seconds);
}

int64_t start_of_year(int64_t year) {
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)), std::chrono::January,
                                         std::chrono::day(1)};
  return kSecondsPerDay * static_cast<int64_t>(std::chrono::sys_days(date).time_since_epoch().count());
}

std::string time_text(int64_t seconds) {
  if (seconds < start_of_year(0) || seconds >= start_of_year(10'000)) {
    constexpr double kSecondsPerYear = 365.2425 * kSecondsPerDay;  // of the cycle of 400 years that begins with 2000
    const double since = static_cast<double>(seconds) - static_cast<double>(start_of_year(2000));
    return fmt::format("about the year {:.0f}", 2000.0 + std::floor(since / kSecondsPerYear));
  }
  const int64_t second = ((seconds % kSecondsPerDay) + kSecondsPerDay) % kSecondsPerDay;
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>((seconds - second) / kSecondsPerDay)}}};
  const std::string day = fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                                      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  if (second == 0) return day;
  return fmt::format("{} {:02}:{:02}:{:02}", day, second / 3600, second / 60 % 60, second % 60);
}

}  // namespace sheaf::data
