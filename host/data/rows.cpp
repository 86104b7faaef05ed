#include "host/data/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

#include "engine/data/shown.hpp"
#include "host/data/times.hpp"
#include "host/data/timestamp.hpp"
#include "host/data/values.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::data {
namespace {

constexpr int64_t kRowChunk = 8192;
constexpr size_t kMaxColumns = 255;  // what a byte counts
constexpr const char* kSplitNames[] = {"train", "validation", "test"};

/// What can be wrong with a row; 0 is nothing.
enum Issue : uint16_t {
  kNone,
  kWidth,
  kEmpty,
  kNotANumber,
  kNotFinite,
  kNoTimestamp,
  kTwoTimes,
  kOtherYears,
  kNegativeDiscount,
  kNoSplit
};

uint16_t pack(Issue issue, size_t column) {
  return static_cast<uint16_t>((issue << 8) | static_cast<uint16_t>(column));
}

std::vector<std::string> needed_columns(const ImportConfig& config) {
  const auto& c = config.columns;
  std::vector<std::string> names{c.user,  c.basket, c.item,      c.timestamp, c.quantity,
                                 c.price, c.amount, c.item_name, c.category};
  names.insert(names.end(), c.discount.begin(), c.discount.end());
  if (config.split.kind == SplitKind::given) names.push_back(config.split.column);
  std::erase(names, std::string());
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.size() > kMaxColumns) throw UsageError(fmt::format("more than {} columns are named", kMaxColumns));
  return names;
}

std::string hint_for(int issue) {
  constexpr const char* kLeaveOut = "set malformed = \"drop\" under [clean] to leave such rows out";
  switch (issue) {
    case kOtherYears:
      return "mend the times or [timestamp]; first_year and last_year under [timestamp] allow other years, and "
             "malformed = \"drop\" under [clean] leaves such rows out";
    case kTwoTimes:
      return fmt::format(
          "keep the right one of the two formats, let first_year and last_year under [timestamp] decide, "
          "or {}",
          kLeaveOut);
    case kEmpty:
      return fmt::format("mend the row, or {}; missing under [clean] lists what stands for a missing value", kLeaveOut);
    case kWidth:
      return fmt::format("mend the row, or {}; layout = \"baskets\" under [source] reads a line as a basket of items",
                         kLeaveOut);
    default: return fmt::format("mend the row, or {}", kLeaveOut);
  }
}

Issue to_number(std::string_view text, const text::NumberFormat& format, double& value) {
  switch (text::parse_number(text, value, format)) {
    case text::NumberStatus::ok: return kNone;
    case text::NumberStatus::empty: return kEmpty;
    case text::NumberStatus::not_finite: return kNotFinite;
    case text::NumberStatus::malformed: break;
  }
  return kNotANumber;
}

}  // namespace

Rows::Rows(const std::vector<std::filesystem::path>& paths, const ImportConfig& config, const Context& context)
    : source(paths, config, needed_columns(config), context),
      timestamp_config_(config.timestamp),
      number_format_(config.source.csv.number) {
  check_interrupt("import");
  parse_values(config, context);
  if (!config.clean.drop_malformed) {
    const auto bad = std::ranges::find_if(issues_, [](uint16_t issue) { return issue != 0; });
    if (bad != issues_.end()) {
      const std::string advice = number_advice(bad - issues_.begin());
      throw DataError(issue_message(bad - issues_.begin()), advice.empty() ? hint_for(*bad >> 8) : advice);
    }
  }
  check_interrupt("import");
  encode(config, context);
}

std::string_view Rows::text(const std::string& column, int64_t row) const {
  return column.empty() ? std::string_view() : source.values(source.column(column))[static_cast<size_t>(row)];
}

bool Rows::has_wrong_time(int64_t row) const { return issues_[static_cast<size_t>(row)] >> 8 == kNoTimestamp; }

std::string Rows::number_advice(int64_t row) const {
  const uint16_t packed = issues_[static_cast<size_t>(row)];
  if (packed >> 8 != kNotANumber) return {};
  return text::number_advice(source.values(packed & 0xff)[static_cast<size_t>(row)], number_format_);
}

std::string Rows::issue_message(int64_t row) const {
  const uint16_t packed = issues_[static_cast<size_t>(row)];
  if (packed >> 8 == kWidth) return source.width_message(row);
  const size_t column = packed & 0xff;
  const std::string_view value = source.values(column)[static_cast<size_t>(row)];
  const std::string seen = text::shown(value);
  const auto or_else = [&] {
    const std::string_view bare = without_blanks(value);
    if (bare.size() != value.size()) return std::string("; it has blanks at an end, which trim = true takes off");
    const std::string meaning = likely_meaning(value, timestamp_config_.formats);
    return meaning.empty() ? meaning : "; " + meaning;
  };
  const auto what = [&]() -> std::string {
    switch (packed >> 8) {
      case kEmpty: {
        const std::string written = text::shown(source.written(column, row));
        return written.empty() ? "the value is missing" : fmt::format("the value is missing: '{}'", written);
      }
      case kNotANumber: return fmt::format("'{}' is not a number", seen);
      case kNotFinite: return fmt::format("'{}' is not a finite number", seen);
      case kNoTimestamp:
        return fmt::format("'{}' does not match the format{} of [timestamp]", seen,
                           timestamp_config_.formats.size() > 1 ? "s" : "") +
               or_else();
      case kTwoTimes: {
        const TimeReading time = read_time(value, timestamp_config_.formats, time_limits(timestamp_config_));
        return fmt::format("'{}' is {} with the format '{}', and {} with '{}'", seen, time_text(time.seconds),
                           timestamp_config_.formats[time.format], time_text(time.other_seconds),
                           timestamp_config_.formats[time.other]);
      }
      case kOtherYears: {
        const TimeLimits limits = time_limits(timestamp_config_);
        const std::string time = time_text(timestamp[static_cast<size_t>(row)]);
        return fmt::format("'{}'{}: the years {} to {} are expected", seen, value == time ? "" : " is " + time,
                           limits.first_year, limits.last_year) +
               or_else();
      }
      case kNegativeDiscount:
        return fmt::format("a discount of {} is negative; what is taken off is written positive", seen);
      default: return fmt::format("'{}' is none of train, validation, test", seen);
    }
  };
  return fmt::format("{}: column '{}': {}", source.place(row), text::shown(source.name(column)), what());
}

void Rows::parse_values(const ImportConfig& config, const Context& context) {
  const auto n = static_cast<size_t>(size());
  const auto& c = config.columns;
  issues_.assign(n, 0);
  timestamp.assign(n, 0);
  quantity.assign(n, 1.0);
  paid.assign(n, 0.0);
  discount.assign(n, 0.0);
  given_split.assign(n, kTrain);
  time_format_.assign(n, 0);

  const TimeLimits limits = time_limits(config.timestamp);
  const text::NumberFormat& number = config.source.csv.number;
  // One check a column: what is wrong with the field, and its value into its place.
  struct Check {
    size_t column;
    std::function<Issue(std::string_view, size_t)> take;
  };
  std::vector<Check> checks;
  const auto add = [&](const std::string& column, auto&& take) {
    if (!column.empty()) checks.push_back({source.column(column), take});
  };
  const auto must_have = [](std::string_view text, size_t) { return text.empty() ? kEmpty : kNone; };
  add(c.item, must_have);
  add(c.basket, must_have);
  add(c.timestamp, [&](std::string_view text, size_t row) {
    if (text.empty()) return kEmpty;
    const TimeReading time = read_time(text, config.timestamp.formats, limits);
    timestamp[row] = time.seconds;
    time_format_[row] = static_cast<uint8_t>(time.format | (time.has_offset ? size_t{kOffset} : 0));
    switch (time.status) {
      case TimeReading::Status::no_match: return kNoTimestamp;
      case TimeReading::Status::ambiguous: return kTwoTimes;
      case TimeReading::Status::other_years: return kOtherYears;
      case TimeReading::Status::ok: break;
    }
    return kNone;
  });
  add(c.quantity, [&](std::string_view text, size_t row) { return to_number(text, number, quantity[row]); });
  add(c.price.empty() ? c.amount : c.price,
      [&](std::string_view text, size_t row) { return to_number(text, number, paid[row]); });
  for (const std::string& column : c.discount) {
    add(column, [&](std::string_view text, size_t row) {
      double value = 0.0;
      const Issue issue = to_number(text, number, value);
      discount[row] += value;
      return issue == kEmpty ? kNone : issue == kNone && value < 0.0 ? kNegativeDiscount : issue;
    });
  }
  if (config.split.kind == SplitKind::given) {
    add(config.split.column, [&](std::string_view text, size_t row) {
      const auto found = std::ranges::find(kSplitNames, text);
      given_split[row] = static_cast<uint8_t>(found - std::begin(kSplitNames));
      return found == std::end(kSplitNames) ? kNoSplit : kNone;
    });
  }

  parallel_for(context, size(), kRowChunk, [&](int64_t begin, int64_t end) {
    for (auto row = static_cast<size_t>(begin); row < static_cast<size_t>(end); ++row) {
      if (!source.has_right_width(static_cast<int64_t>(row))) {
        issues_[row] = pack(kWidth, 0);
        continue;
      }
      for (const Check& check : checks) {
        const Issue issue = check.take(source.values(check.column)[row], row);
        if (issue != kNone && issues_[row] == 0) issues_[row] = pack(issue, check.column);
      }
    }
  });
}

void Rows::encode(const ImportConfig& config, const Context& context) {
  const auto n = static_cast<size_t>(size());
  const auto encode_column = [&](const std::string& column, StringEncoder& encoder, std::vector<int32_t>& codes) {
    codes.assign(n, -1);
    if (column.empty()) return;
    const auto& values = source.values(source.column(column));
    for (size_t row = 0; row < n; ++row) {
      if (issues_[row] == 0) codes[row] = encoder.encode(values[row]);
    }
  };
  // Codes are given in the order of the rows, so a column is one thread's work; columns run side by side.
  const std::array<std::function<void()>, 5> tasks{
      [&] { encode_column(config.columns.user, users, user); },
      [&] { encode_column(config.columns.basket, baskets, basket); },
      [&] { encode_column(config.columns.item, items, item); },
      [&] { encode_column(config.columns.item_name, names, name); },
      [&] { encode_column(config.columns.category, categories, category); },
  };
  parallel_for(context, static_cast<int64_t>(tasks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) tasks[static_cast<size_t>(task)]();
  });
  encode_users(config);
}

void Rows::encode_users(const ImportConfig& config) {
  const auto n = static_cast<size_t>(size());
  const int32_t nobody = config.columns.user.empty() ? -1 : users.find("");
  has_user.assign(n, 0);
  for (size_t row = 0; row < n; ++row) has_user[row] = user[row] >= 0 && user[row] != nobody;
  if (config.columns.basket.empty()) {  // a basket is what a user has at one time; users differ, so times may repeat
    for (size_t row = 0; row < n; ++row) {
      if (issues_[row] != 0) continue;
      const std::string time = fmt::format("{}", timestamp[row]);
      const int32_t known = baskets.find(time);
      basket[row] = known >= 0 ? known : baskets.encode(made_names_.emplace_back(time));
    }
  }
  // Without a user a basket stands for itself.
  for (size_t row = 0; row < n; ++row) {
    if (issues_[row] != 0 || has_user[row] != 0 || config.clean.require_user) continue;
    const std::string stand_in = fmt::format("basket {}", baskets.strings()[static_cast<size_t>(basket[row])]);
    const int32_t known = users.find(stand_in);
    user[row] = known >= 0 ? known : users.encode(made_names_.emplace_back(stand_in));
  }
}

}  // namespace sheaf::data
