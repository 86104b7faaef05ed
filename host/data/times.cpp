#include "host/data/times.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "engine/data/shown.hpp"
#include "host/data/clean.hpp"
#include "host/data/timestamp.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::data {
namespace {

constexpr int64_t kDay = 86400;
constexpr int64_t kGuessFrom = 1980;  // a guess of a unit must give a year from this to the next one
constexpr const char* kPartNames[] = {"train", "validation", "test"};

int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

int64_t next_year() {
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  return static_cast<int>(std::chrono::year_month_day(today).year()) + 1;
}

int64_t day_of(int64_t seconds) { return (seconds - ((seconds % kDay) + kDay) % kDay) / kDay; }

std::chrono::year_month_day date_of_day(int64_t day) {
  return std::chrono::sys_days{std::chrono::days{static_cast<int>(day)}};
}

/// "1 row", "2 rows"
std::string counted(int64_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

/// Day and month the other way round; empty if the format has not both.
std::string exchanged(const std::string& format) {
  std::string out = format;
  bool day = false, month = false;
  for (size_t i = 0; i + 1 < out.size(); ++i) {
    if (out[i] != '%') continue;
    char& letter = out[++i];
    day = day || letter == 'd';
    month = month || letter == 'm';
    letter = letter == 'd' ? 'm' : letter == 'm' ? 'd' : letter;
  }
  return day && month ? out : std::string();
}

/// What a number may count.
struct Unit {
  const char *name, *format;
};
constexpr std::array<Unit, 6> kUnits{{{"seconds since 1970", "seconds"},
                                      {"milliseconds since 1970", "milliseconds"},
                                      {"microseconds since 1970", "microseconds"},
                                      {"nanoseconds since 1970", "nanoseconds"},
                                      {"Excel serial days", "excel"},
                                      {"days since 1970", "days"}}};

/// %s is another name of seconds.
bool is_format(const std::string& format, std::string_view unit) {
  return format == unit || (format == "%s" && unit == "seconds");
}

std::optional<int64_t> time_by(const std::string& format, std::string_view text, const TimeLimits& limits) {
  int64_t seconds = 0;
  if (format.empty() || !parse_timestamp(text, format, seconds) || !limits.contains(seconds)) return {};
  return seconds;
}

TimeLimits guess_limits() { return time_limits({.formats = {}, .first_year = kGuessFrom, .last_year = {}}); }

/// The first and the last line of one basket of one user.
struct BasketSpan {
  int64_t first_row, last_row;
};

/// What the warnings are made from.
class Judge {
 public:
  Judge(const Rows& rows, const ImportConfig& config, const std::vector<int64_t>& kept,
        const std::vector<uint8_t>& split, ImportReport& report)
      : rows_(rows), config_(config), kept_(kept), split_(split), report_(report) {
    const std::vector<int32_t> baskets = number_baskets(rows, kept);
    std::vector<std::array<bool, 3>> seen;
    for (size_t i = 0; i < kept.size(); ++i) {
      const auto basket = static_cast<size_t>(baskets[i]);
      if (basket == spans_.size()) {
        spans_.push_back({kept[i], kept[i]});
        seen.push_back({false, false, false});
      }
      spans_[basket].last_row = kept[i];
      ImportReport::Part& part = report.parts[split[i]];
      if (report.split_rows[split[i]] > 0 && part.baskets == 0) part.first = time(kept[i]);
      part.last = time(kept[i]);
      if (!std::exchange(seen[basket][split[i]], true)) ++part.baskets;
    }
  }

  void judge_parts() {
    const ImportConfig::Split& split = config_.split;
    const bool by_days = split.kind == SplitKind::temporal, at_random = split.kind == SplitKind::random;
    const bool wanted[] = {true,
                           by_days     ? split.validation_days > 0
                           : at_random ? split.validation_fraction > 0
                                       : split.kind == SplitKind::leave_last_out || report_.split_rows[1] > 0,
                           by_days     ? split.test_days > 0
                           : at_random ? split.test_fraction > 0
                                       : split.kind == SplitKind::leave_last_out || report_.split_rows[2] > 0};
    constexpr int64_t kFew = 10, kShare = 500;  // fewer baskets than this, or than one in so many
    const auto all = std::ssize(spans_);
    for (size_t part = 0; part < 3; ++part) {
      const int64_t baskets = report_.parts[part].baskets;
      if (!wanted[part] || (baskets >= kFew && baskets * kShare >= all)) continue;
      warn("{} is {}empty: {} in {} of {}; check the times above and [split]", kPartNames[part],
           baskets == 0 ? "" : "almost ", counted(report_.split_rows[part], "row"), baskets, counted(all, "basket"));
    }
    constexpr double kLeastTrain = 0.2;
    const double share = static_cast<double>(report_.split_rows[kTrain]) / static_cast<double>(kept_.size());
    if (share < kLeastTrain)
      warn("train has only {:.1f} % of the rows; check the times above and [split]", 100 * share);
  }

  /// A basket belongs to the part of its first row, so that a number that comes back takes later rows with it.
  void judge_spans() {
    if (config_.columns.basket.empty()) return;
    int64_t long_ones = 0, longest = -1;
    const BasketSpan* worst = nullptr;
    for (const BasketSpan& span : spans_) {
      const int64_t length = time(span.last_row) - time(span.first_row);
      if (length <= kDay) continue;
      ++long_ones;
      if (length > longest) worst = &span;
      longest = std::max(longest, length);
    }
    if (worst == nullptr) return;
    int64_t late = 0;
    for (size_t i = 0; i < kept_.size() && report_.test_after; ++i) {
      const int64_t at = time(kept_[i]);
      const uint8_t own = at > *report_.test_after ? kTest : at > *report_.validation_after ? kValidation : kTrain;
      late += own > split_[i] ? 1 : 0;
    }
    const std::string moved =
        late > 0 ? fmt::format(" In an earlier part than their time, because a basket is never cut: {}.",
                               counted(late, "row"))
                 : "";
    warn(
        "over more than one day: {} of {}; the longest is {}, {} ({}) to {} ({}).{} If receipt "
        "numbers start again, put the day into the number, or leave columns.basket out: a basket is then what a user "
        "has at one time",
        long_ones, counted(std::ssize(spans_), "basket"), basket_text(worst->first_row),
        time_text(time(worst->first_row)), place(worst->first_row), time_text(time(worst->last_row)),
        place(worst->last_row), moved);
  }

  void judge_shared_numbers() {
    if (config_.columns.basket.empty()) return;
    struct Use {
      int64_t first = -1, last = -1;  // rows that begin a basket of this number
    };
    std::vector<Use> uses(static_cast<size_t>(rows_.baskets.size()));
    for (const BasketSpan& span : spans_) {  // in the order of time
      Use& use = uses[static_cast<size_t>(rows_.basket[static_cast<size_t>(span.first_row)])];
      if (use.first < 0) use.first = span.first_row;
      use.last = span.first_row;
    }
    int64_t shared = 0;
    const Use* worst = nullptr;
    for (const Use& use : uses) {
      if (use.first < 0 || time(use.last) - time(use.first) <= kDay) continue;
      ++shared;
      if (worst == nullptr || time(use.last) - time(use.first) > time(worst->last) - time(worst->first)) worst = &use;
    }
    if (worst == nullptr) return;
    warn(
        "used by different users on different days: {}; {} on {} ({}), and {} on {} ({}). Each "
        "user's is a basket of its own. That is right if users number their own baskets; if receipt numbers start "
        "again, one user may get a number twice: put the day into the number",
        counted(shared, "basket id"), basket_text(worst->first), time_text(time(worst->first)), place(worst->first),
        basket_text(worst->last), time_text(time(worst->last)), place(worst->last));
  }

  /// Dates that read both ways. A format that begins with the year is not in doubt.
  void judge_day_and_month() {
    for (size_t f = 0; f < config_.timestamp.formats.size(); ++f) judge_day_and_month(f);
  }

  void judge_offsets() {
    const int64_t with = std::ranges::count_if(kept_, [&](int64_t row) { return rows_.has_offset(row); });
    const int64_t without = std::ssize(kept_) - with;
    if (with == 0 || without == 0) return;
    const int64_t row = *std::ranges::find_if(kept_, [&](int64_t at) { return !rows_.has_offset(at); });
    warn(
        "with an offset, and so in UTC, is the time of {}, and without one that of {}, such as '{}' ({}), which may be "
        "of another zone",
        counted(with, "row"), counted(without, "row"), rows_.text(config_.columns.timestamp, row), place(row));
  }

  void judge_gap() {
    constexpr int64_t kYear = 366 * kDay;
    size_t at = 0;  // the widest gap is before this row
    for (size_t i = 1; i < kept_.size(); ++i) {
      if (at == 0 || gap(i) > gap(at)) at = i;
    }
    if (at == 0 || gap(at) <= kYear) return;
    const size_t after = kept_.size() - at;
    const bool few_before = at <= after;
    const int64_t row = few_before ? kept_[at - 1] : kept_[at];
    warn("nothing was bought between {} and {}: check the times of the {} {} it ({})", time_text(time(kept_[at - 1])),
         time_text(time(kept_[at])), counted(static_cast<int64_t>(few_before ? at : after), "row"),
         few_before ? "before" : "after", place(row));
  }

  void judge_age() {
    const int64_t today = now();
    const auto coming = std::ranges::find_if(kept_, [&](int64_t row) { return time(row) > today + kDay; });
    if (coming != kept_.end()) {
      warn("of a time to come: {}, the first of {} ({})", counted(kept_.end() - coming, "row"),
           time_text(time(*coming)), place(*coming));
    }
    constexpr double kDecade = 10 * 365.2425;
    const int64_t middle = time(kept_[(kept_.size() - 1) / 2]);
    if (static_cast<double>(today - middle) > kDecade * static_cast<double>(kDay)) {
      warn("most rows are older than ten years: half of them are of {} or before; check format under [timestamp]",
           time_text(middle));
    }
  }

 private:
  template <class... Values>
  void warn(fmt::format_string<Values...> text, Values&&... values) {
    report_.warnings.push_back(fmt::format(text, std::forward<Values>(values)...));
  }
  int64_t time(int64_t row) const {
    check_interrupt();
    return rows_.timestamp[static_cast<size_t>(row)];
  }
  std::string place(int64_t row) const { return rows_.source.short_place(row); }

  void judge_day_and_month(size_t f) {
    const std::string& format = config_.timestamp.formats[f];
    const std::string other = exchanged(format);
    if (other.empty() || std::ranges::find(config_.timestamp.formats, other) != config_.timestamp.formats.end()) return;
    int64_t left_out = 0, example = -1;
    for (int64_t row = 0; row < rows_.size(); ++row) {
      if (!rows_.has_wrong_time(row)) continue;
      if (!time_by(other, rows_.text(config_.columns.timestamp, row), time_limits(config_.timestamp))) continue;
      if (left_out++ == 0) example = row;
    }
    if (left_out > 0) {
      warn(
          "left out as malformed, with a time of the format '{}' and not '{}': {}, such as '{}' ({}); check format "
          "under [timestamp]",
          other, format, counted(left_out, "row"), rows_.text(config_.columns.timestamp, example), place(example));
      return;
    }
    if (format.find("%Y") < std::min(format.find("%m"), format.find("%d"))) return;
    std::vector<int64_t> days;
    for (const int64_t row : kept_) {
      const int64_t day = day_of(time(row));
      if (rows_.time_format(row) == f && (days.empty() || days.back() != day)) days.push_back(day);
    }
    int64_t in_doubt = 0, first = std::numeric_limits<int64_t>::max(), last = std::numeric_limits<int64_t>::min();
    for (const int64_t day : days) {
      const auto date = date_of_day(day);
      const auto d = static_cast<unsigned>(date.day()), m = static_cast<unsigned>(date.month());
      if (d > 12) return;
      in_doubt += d != m ? 1 : 0;
      const std::chrono::year_month_day turned{date.year(), std::chrono::month(d), std::chrono::day(m)};
      const int64_t at = kDay * static_cast<int64_t>(std::chrono::sys_days(turned).time_since_epoch().count());
      first = std::min(first, at);
      last = std::max(last, at);
    }
    if (in_doubt < 3) return;
    warn(
        "no day of a month is above 12, so day and month may be exchanged: with the format '{}' the {} days are from "
        "{} to {}",
        other, days.size(), time_text(first), time_text(last));
  }

  int64_t gap(size_t i) const { return time(kept_[i]) - time(kept_[i - 1]); }
  std::string basket_text(int64_t row) const {
    return fmt::format("'{}' of user '{}'", text::shown(rows_.text(config_.columns.basket, row)),
                       text::shown(rows_.users.strings()[static_cast<size_t>(rows_.user[static_cast<size_t>(row)])]));
  }

  const Rows& rows_;
  const ImportConfig& config_;
  const std::vector<int64_t>& kept_;
  const std::vector<uint8_t>& split_;
  ImportReport& report_;
  std::vector<BasketSpan> spans_;  // by basket: in the order of their first rows
};

}  // namespace

TimeLimits time_limits(const ImportConfig::Timestamp& config) {
  constexpr int64_t kFirstYear = 1900;
  const int64_t first = config.first_year.value_or(kFirstYear), last = config.last_year.value_or(next_year());
  return {first, last, start_of_year(first), start_of_year(last + 1)};
}

TimeReading read_time(std::string_view text, const std::vector<std::string>& formats, const TimeLimits& limits) {
  using Status = TimeReading::Status;
  TimeReading reading;
  for (size_t f = 0; f < formats.size(); ++f) {
    int64_t seconds = 0;
    bool has_offset = false;
    if (!parse_timestamp(text, formats[f], seconds, &has_offset)) continue;
    const bool expected = limits.contains(seconds);
    if (reading.status == Status::ok) {
      if (!expected || seconds == reading.seconds) continue;
      reading.status = Status::ambiguous;
      reading.other = f;
      reading.other_seconds = seconds;
      break;
    }
    if (reading.status == Status::no_match || expected) {
      reading = {expected ? Status::ok : Status::other_years, f, 0, seconds, 0, has_offset};
    }
  }
  return reading;
}

std::string likely_meaning(std::string_view text, const std::vector<std::string>& formats) {
  const TimeLimits limits = guess_limits();
  std::vector<std::string> others;
  for (const std::string& format : formats) others.push_back(exchanged(format));
  others.insert(others.end(), {"%Y%m%d", "%Y%m%d%H%M%S", "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
                               "%Y-%m-%d %H:%M", "iso8601", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M"});
  for (const char* clock : {"", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"}) {
    for (const char* date : {"%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d-%b-%Y",
                             "%b %d, %Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%b-%y"}) {
      others.push_back(std::string(date) + clock);
    }
  }
  const auto is_given = [&](std::string_view other) {
    return std::ranges::any_of(formats, [&](const std::string& format) { return is_format(format, other); });
  };
  for (const std::string& other : others) {
    if (is_given(other)) continue;
    const auto time = time_by(other, text, limits);
    if (!time) continue;
    const std::string turned = exchanged(other);
    const auto turned_time = is_given(turned) ? std::optional<int64_t>() : time_by(turned, text, limits);
    const bool two = turned_time && *turned_time != *time;
    return fmt::format("with the format '{}' it is {}{}", other, time_text(*time),
                       two ? fmt::format(", with '{}' {}", turned, time_text(*turned_time)) : "");
  }
  for (const Unit& unit : kUnits) {
    if (is_given(unit.format)) continue;
    if (const auto time = time_by(unit.format, text, limits)) {
      return fmt::format("as {} it is {} (format = \"{}\")", unit.name, time_text(*time), unit.format);
    }
  }
  return {};
}

void check_unit(const Rows& rows, const ImportConfig& config, const std::vector<int64_t>& kept) {
  if (config.timestamp.first_year) return;
  const TimeLimits limits = guess_limits();
  for (size_t f = 0; f < config.timestamp.formats.size(); ++f) {
    const std::string& format = config.timestamp.formats[f];
    const auto unit = std::ranges::find_if(kUnits, [&](const Unit& known) { return is_format(format, known.format); });
    if (unit == kUnits.end()) continue;
    std::vector<int64_t> counted;  // in the order of time
    std::ranges::copy_if(kept, std::back_inserter(counted), [&](int64_t row) { return rows.time_format(row) == f; });
    if (counted.empty() || rows.timestamp[static_cast<size_t>(counted.back())] >= limits.begin) continue;
    const auto text = [&](int64_t row) { return rows.text(config.columns.timestamp, row); };
    const auto fits = [&](const std::string& other) {
      return std::ranges::all_of(counted, [&](int64_t row) { return time_by(other, text(row), limits).has_value(); });
    };
    if (!fits("%Y%m%d") && std::ranges::none_of(kUnits, [&](const Unit& other) { return fits(other.format); }))
      continue;
    const int64_t row = counted.front();
    throw DataError(
        fmt::format("{}: column '{}': as {} '{}' is {}, and no other row is much later; {}", rows.source.place(row),
                    config.columns.timestamp, unit->name, text(row),
                    time_text(rows.timestamp[static_cast<size_t>(row)]),
                    likely_meaning(text(row), config.timestamp.formats)),
        "give another format under [timestamp], or another column; first_year = 1970 says that the times are right");
  }
}

void judge_times(const Rows& rows, const ImportConfig& config, const std::vector<int64_t>& kept,
                 const std::vector<uint8_t>& split, int64_t last, ImportReport& report) {
  report.has_times = !config.columns.timestamp.empty();
  if (config.split.kind == SplitKind::temporal) {
    std::tie(report.validation_after, report.test_after) = temporal_borders(last, config.split);
  }
  if (kept.empty()) return;
  Judge judge(rows, config, kept, split, report);
  judge.judge_parts();
  if (!report.has_times) return;
  judge.judge_spans();
  judge.judge_shared_numbers();
  judge.judge_day_and_month();
  judge.judge_offsets();
  judge.judge_gap();
  judge.judge_age();
}

}  // namespace sheaf::data
