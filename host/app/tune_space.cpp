#include "host/app/tune_space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "engine/data/nearest.hpp"
#include "engine/models/registry.hpp"
#include "host/config/toml.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf::app {
namespace {

constexpr const char* kPreference = "model.preference";
constexpr const char* kRecency = "model.recency_days";  // a setting of the host that the model learns by

/// The settings of a model by its name, and what every model heeds.
std::set<std::string> settings_of(const std::string& model) {
  std::set<std::string> names{kPreference, kRecency};
  for (const auto& [name, value] : values_of(make_recommender(model)->settings())) names.insert(name);
  return names;
}

std::vector<std::string> all_tunable() {
  std::vector<std::string> names{kPreference, kRecency};
  for (const auto& [name, value] : values_of(model_settings(all_recommenders()))) names.push_back(name);
  return names;
}

std::string number_text(double value, bool whole) {
  return whole ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

std::string value_text(const toml::node& node, const std::string& where) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  if (const auto whole = node.value_exact<int64_t>()) return std::to_string(*whole);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  throw UsageError(where + " has a value that is no text, number, true or false", "list plain values");
}

/// The error that Config gives, with the place in the file in front.
void check_value(const TuneDimension& dimension, const std::string& value, const std::string& place) {
  try {
    config::Config().set(dimension.name + "=" + value);
  } catch (const UsageError& error) {
    std::string what = error.what();
    if (what.starts_with("--set ")) what.erase(0, 6);
    throw UsageError(place + what, error.hint());
  }
}

TuneDimension range_of(const std::string& name, const toml::table& table, const std::string& place) {
  TuneDimension range;
  range.name = name;
  const std::string where = place + name;
  for (const auto& [key, node] : table) {
    const std::string_view word = key.str();
    if (word == "log" && node.is_boolean()) {
      range.logarithmic = *node.value<bool>();
    } else if ((word == "low" || word == "high") && config::number_of(node)) {
      (word == "low" ? range.low : range.high) = *config::number_of(node);
    } else {
      throw UsageError(fmt::format("{}: '{}' is no part of a range", where, word),
                       "write { low = 0.001, high = 0.1, log = true }; log may be left out");
    }
  }
  const toml::node *low = table.get("low"), *high = table.get("high");
  if (low == nullptr || high == nullptr || !(range.low < range.high)) {
    throw UsageError(where + " needs a number low that is below its number high",
                     "write { low = 16, high = 128 }, or a list of values");
  }
  if (range.logarithmic && !(range.low > 0.0)) {
    throw UsageError(fmt::format("{}: low = {:g} has no logarithm", where, range.low), "take a low above 0");
  }
  range.whole = low->is_integer() && high->is_integer();
  return range;
}

TuneDimension dimension_of(const std::string& name, const toml::node& node, const std::filesystem::path& path) {
  const std::string place = config::location(path, node);
  if (const toml::table* table = node.as_table()) {
    TuneDimension range = range_of(name, *table, place);
    for (const double end : {range.low, range.high}) check_value(range, number_text(end, range.whole), place);
    return range;
  }
  TuneDimension list;
  list.name = name;
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& each : *array) list.values.push_back(value_text(each, place + name));
  } else {
    list.values.push_back(value_text(node, place + name));
  }
  if (list.values.empty()) throw UsageError(place + name + " lists no value", "list at least one, or leave it out");
  for (const std::string& value : list.values) check_value(list, value, place);
  return list;
}

/// Draw number `draw` of trial `trial`, in [0, 1).
double drawn(uint64_t seed, int64_t trial, size_t draw) {
  constexpr uint32_t kTuneStep = 0x74756e65;  // no other draw of this purpose has it
  return static_cast<double>(random_u32({seed, Purpose::evaluation, kTuneStep}, static_cast<uint64_t>(trial),
                                        static_cast<uint64_t>(draw))) *
         0x1.0p-32;
}

std::string drawn_value(const TuneDimension& d, double u) {
  if (!d.values.empty()) return d.values[static_cast<size_t>(u * static_cast<double>(d.values.size()))];
  double value = d.logarithmic ? std::exp(std::log(d.low) + u * (std::log(d.high) - std::log(d.low)))
                               : d.low + u * (d.high - d.low);
  if (d.whole && !d.logarithmic) value = std::floor(d.low + u * (d.high - d.low + 1.0));
  if (d.whole) value = std::round(value);
  return number_text(std::clamp(value, d.low, d.high), d.whole);
}

/// Without what the trial's model does not have.
Assignments heeded(const std::vector<TuneDimension>& space, const std::vector<std::string>& values,
                   const std::string& usual_model) {
  std::string model = usual_model;
  for (size_t d = 0; d < space.size(); ++d) {
    if (space[d].name == kPreference) model = values[d];
  }
  const std::set<std::string> has = settings_of(model);
  Assignments trial;
  for (size_t d = 0; d < space.size(); ++d) {
    if (has.contains(space[d].name)) trial.emplace_back(space[d].name, values[d]);
  }
  return trial;
}

/// 0 if a dimension is a range; else the number of combinations, at most `most` + 1.
int64_t combinations(const std::vector<TuneDimension>& space, int64_t most) {
  int64_t n = 1;
  for (const TuneDimension& d : space) {
    if (d.values.empty()) return 0;
    n = std::min(most + 1, n * std::ssize(d.values));
  }
  return n;
}

}  // namespace

std::vector<TuneDimension> read_tune_space(const std::filesystem::path& path) {
  const toml::table file = config::parse_toml(path);
  const std::vector<std::string> tunable = all_tunable();
  std::vector<TuneDimension> space;
  for (const auto& [section, node] : file) {
    const toml::table* keys = node.as_table();
    if (keys == nullptr) {
      throw UsageError(fmt::format("{}{} stands outside a section", config::location(path, node), section.str()),
                       "write it below its section, such as [model]");
    }
    for (const auto& [key, value] : *keys) {
      const std::string name = std::string(section.str()) + "." + std::string(key.str());
      if (std::ranges::find(tunable, name) == tunable.end()) {
        throw UsageError(fmt::format("{}{} is no setting of a model", config::location(path, value), name),
                         "did you mean " + text::nearest(name, tunable) + "?");
      }
      space.push_back(dimension_of(name, value, path));
    }
  }
  if (space.empty()) {
    throw UsageError(path.string() + " names no setting to choose",
                     "write, for example: [model] and dim = [16, 32, 64]");
  }
  return space;
}

std::vector<Assignments> tune_trials(const std::vector<TuneDimension>& space, const config::Config& base,
                                     int64_t n_trials, uint64_t seed) {
  const std::string& usual_model = base.model.preference;
  std::vector<Assignments> trials{{}};
  std::set<Assignments> known;
  const auto add = [&](const std::vector<std::string>& values) {
    Assignments trial = heeded(space, values, usual_model);
    if (known.insert(trial).second) trials.push_back(std::move(trial));
  };
  const int64_t all = combinations(space, n_trials - 1);
  std::vector<std::string> values(space.size());
  if (all > 0 && all <= n_trials - 1) {
    for (int64_t at = 0; at < all; ++at) {
      int64_t rest = at;
      for (size_t d = space.size(); d-- > 0;) {
        const auto size = std::ssize(space[d].values);
        values[d] = space[d].values[static_cast<size_t>(rest % size)];
        rest /= size;
      }
      add(values);
    }
    return trials;
  }
  constexpr int64_t kDrawsATrial = 20;  // then the space has no more that is new
  for (int64_t draw = 0; std::ssize(trials) < n_trials && draw < kDrawsATrial * n_trials; ++draw) {
    for (size_t d = 0; d < space.size(); ++d) values[d] = drawn_value(space[d], drawn(seed, draw, d));
    add(values);
  }
  return trials;
}

}  // namespace sheaf::app
