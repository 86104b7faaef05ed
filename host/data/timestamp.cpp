#include "host/data/timestamp.hpp"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>

namespace sheaf::data {
namespace {

constexpr int64_t kSecondsPerDay = 86'400;

/// Takes 1 to `max_digits` digits (exactly that many if `exact`) from the front.
bool take_digits(std::string_view& text, size_t max_digits, bool exact, int64_t& value) {
  size_t n = 0;
  value = 0;
  while (n < max_digits && n < text.size() && text[n] >= '0' && text[n] <= '9') value = value * 10 + (text[n++] - '0');
  text.remove_prefix(n);
  return exact ? n == max_digits : n > 0;
}

}  // namespace

std::string timestamp_format_problem(std::string_view format) {
  constexpr std::string_view kKnown = "YymdHMSs%";
  std::string seen;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    const char letter = ++i < format.size() ? format[i] : '\0';
    if (letter == '\0') return "ends with %";
    if (kKnown.find(letter) == kKnown.npos) return fmt::format("%{} is not one of %Y %y %m %d %H %M %S %s %%", letter);
    seen.push_back(letter);
  }
  const auto has = [&](char letter) { return seen.find(letter) != seen.npos; };
  if (has('s') || ((has('Y') || has('y')) && has('m') && has('d'))) return {};
  return "needs %s, or %Y (or %y), %m and %d";
}

bool parse_timestamp(std::string_view text, std::string_view format, int64_t& seconds) {
  int64_t year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      if (text.empty() || text.front() != format[i]) return false;
      text.remove_prefix(1);
      continue;
    }
    switch (format[++i]) {
      case 'Y':
        if (!take_digits(text, 4, true, year)) return false;
        break;
      case 'y':
        if (!take_digits(text, 2, true, year)) return false;
        year += year < 69 ? 2000 : 1900;  // POSIX
        break;
      case 'm':
        if (!take_digits(text, 2, false, month)) return false;
        break;
      case 'd':
        if (!take_digits(text, 2, false, day)) return false;
        break;
      case 'H':
        if (!take_digits(text, 2, false, hour) || hour > 23) return false;
        break;
      case 'M':
        if (!take_digits(text, 2, false, minute) || minute > 59) return false;
        break;
      case 'S':
        if (!take_digits(text, 2, false, second) || second > 60) return false;  // a leap second
        break;
      case 's': {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        return error == std::errc() && end == text.data() + text.size() && i + 1 == format.size();
      }
      default:
        if (text.empty() || text.front() != '%') return false;
        text.remove_prefix(1);
    }
  }
  if (!text.empty()) return false;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return false;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  seconds = ((static_cast<int64_t>(days) * 24 + hour) * 60 + minute) * 60 + second;
  return true;
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
