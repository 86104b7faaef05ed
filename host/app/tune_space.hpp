#pragma once
/// The settings among which `sheaf tune` looks, and the draws from them.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "host/config/config.hpp"

namespace sheaf::app {

/// One setting. Either some values, or all numbers of a range.
struct TuneDimension {
  std::string name;                 // "section.key"
  std::vector<std::string> values;  // as in Config::set; empty for a range
  double low = 0.0, high = 0.0;
  bool logarithmic = false;  // drawn evenly by its logarithm
  bool whole = false;
};

/// Settings as "section.key" and value, for Config::set.
using Assignments = std::vector<std::pair<std::string, std::string>>;

/// TOML in the form of a settings file, with a list of values or a range in place of each value:
///
///   [model]
///   dim = [16, 32, 64]
///   learning_rate = { low = 0.001, high = 0.1, log = true }
///
/// UsageError with file and line for what is no setting of a model, for a value that the setting does not take, and
/// for a range whose ends are not in order. model.refit is no dimension: it changes nothing that is judged here.
std::vector<TuneDimension> read_tune_space(const std::filesystem::path& path);

/// Trial 0 is `base` as it is. If the dimensions are all lists and have no more combinations than the other trials,
/// each combination is a trial; else they are drawn from `seed`, each once. A dimension that the trial's model does not
/// have is left out of the trial. So there may be fewer than `n_trials`, but at least one.
std::vector<Assignments> tune_trials(const std::vector<TuneDimension>& space, const config::Config& base,
                                     int64_t n_trials, uint64_t seed);

}  // namespace sheaf::app
