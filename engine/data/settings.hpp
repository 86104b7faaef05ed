#pragma once
/// Settings that describe themselves: what `sheaf config`, --set, their checks and their help are made from.

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sheaf {

using SettingValue = std::variant<int64_t, double, bool, std::string>;
/// By "section.name".
using SettingValues = std::map<std::string, SettingValue>;

/// One setting: a field, which holds its default, with its range and meaning.
struct Setting {
  Setting(std::string setting_name, std::string meaning, int64_t* field, int64_t least,
          int64_t most = std::numeric_limits<int64_t>::max())
      : name(std::move(setting_name)),
        help(std::move(meaning)),
        value(field),
        least_integer(least),
        most_integer(most) {}
  Setting(std::string setting_name, std::string meaning, double* field, double least,
          double most = std::numeric_limits<double>::infinity())
      : name(std::move(setting_name)), help(std::move(meaning)), value(field), low(least), high(most) {}
  Setting(std::string setting_name, std::string meaning, bool* field)
      : name(std::move(setting_name)), help(std::move(meaning)), value(field) {}
  Setting(std::string setting_name, std::string meaning, std::string* field, std::vector<std::string> one_of)
      : name(std::move(setting_name)), help(std::move(meaning)), value(field), choices(std::move(one_of)) {}

  std::string name, help;
  std::variant<int64_t*, double*, bool*, std::string*> value;
  int64_t least_integer = 0, most_integer = 0;
  double low = 0, high = 0;
  std::vector<std::string> choices;  // of a text

  SettingValue get() const {
    return std::visit([](const auto* field) -> SettingValue { return *field; }, value);
  }
};

struct SettingGroup {
  std::string section;
  std::vector<Setting> settings;
};

/// The values of all settings of the groups.
SettingValues values_of(const std::vector<SettingGroup>& groups);
/// Takes over those of `values` that the groups have. UsageError for a value of another type or out of range.
void apply_settings(const std::vector<SettingGroup>& groups, const SettingValues& values);

}  // namespace sheaf
