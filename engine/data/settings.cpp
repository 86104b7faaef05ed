#include "engine/data/settings.hpp"

#include <algorithm>
#include <type_traits>

#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

bool is_valid(const Setting& setting, const SettingValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    return *integer >= setting.least_integer && *integer <= setting.most_integer;
  }
  if (const auto* number = std::get_if<double>(&value)) return *number >= setting.low && *number <= setting.high;
  if (const auto* text = std::get_if<std::string>(&value)) {
    return setting.choices.empty() || std::ranges::find(setting.choices, *text) != setting.choices.end();
  }
  return true;
}

}  // namespace

SettingValues values_of(const std::vector<SettingGroup>& groups) {
  SettingValues values;
  for (const SettingGroup& group : groups) {
    for (const Setting& setting : group.settings) values[group.section + "." + setting.name] = setting.get();
  }
  return values;
}

void apply_settings(const std::vector<SettingGroup>& groups, const SettingValues& values) {
  for (const SettingGroup& group : groups) {
    for (const Setting& setting : group.settings) {
      const std::string full = group.section + "." + setting.name;
      const auto at = values.find(full);
      if (at == values.end()) continue;
      std::visit(
          [&](auto* field) {
            using T = std::remove_pointer_t<decltype(field)>;
            const T* value = std::get_if<T>(&at->second);
            if (value == nullptr || !is_valid(setting, at->second)) {
              throw UsageError("the setting " + full + " has a value of another type or out of its range",
                               "see `sheaf config`");
            }
            *field = *value;
          },
          setting.value);
    }
  }
}

}  // namespace sheaf
