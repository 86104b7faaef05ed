#include "host/app/checkpoint_folder.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <system_error>
#include <utility>

#include "engine/io/file_io.hpp"
#include "engine/io/folder.hpp"
#include "engine/io/safetensors.hpp"
#include "host/app/learned_rows.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCheckpointKind = "checkpoint";
constexpr const char* kTensors = "state.safetensors";
constexpr int64_t kSlots = 2;

bool is_learning_rate(const std::string& setting) { return setting.ends_with(".learning_rate"); }

/// Of what a training is, without what may differ when it is taken up again.
nlohmann::json identity_of(const config::Config& config, const data::Prepared& prepared) {
  config::Config same = config;
  same.run.threads = 0;
  nlohmann::json rates = nlohmann::json::object();
  for (const auto& [name, value] : config.model_settings) {
    if (!is_learning_rate(name)) continue;
    rates[name] = std::get<double>(value);
    same.model_settings.erase(name);
  }
  return {{"learned_from", learned_rows(prepared)}, {"settings", same.show()}, {"learning_rates", rates}};
}

nlohmann::json json_of(double value) { return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(); }
double number_of(const nlohmann::json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

nlohmann::json json_of(const TrainReport& report) {
  nlohmann::json epochs = nlohmann::json::array();
  for (const EpochReport& e : report.epochs) {
    epochs.push_back({{"epoch", e.epoch},
                      {"what", e.what},
                      {"loss", json_of(e.train_loss)},
                      {"ndcg", json_of(e.validation_ndcg)},
                      {"recall", json_of(e.validation_recall)},
                      {"best", e.best},
                      {"learning_rate", json_of(e.learning_rate)}});
  }
  return {{"epochs", epochs}, {"best_epoch", report.best_epoch}, {"stopped_early", report.stopped_early}};
}

TrainReport report_of(const nlohmann::json& json) {
  TrainReport report;
  for (const nlohmann::json& e : json.at("epochs")) {
    EpochReport epoch;
    epoch.epoch = e.at("epoch");
    epoch.what = e.at("what");
    epoch.train_loss = number_of(e.at("loss"));
    epoch.validation_ndcg = number_of(e.at("ndcg"));
    epoch.validation_recall = number_of(e.at("recall"));
    epoch.best = e.at("best");
    epoch.learning_rate = number_of(e.value("learning_rate", nlohmann::json()));
    report.epochs.push_back(std::move(epoch));
  }
  report.best_epoch = json.at("best_epoch");
  report.stopped_early = json.at("stopped_early");
  return report;
}

std::vector<float> values_of(const io::SafetensorsFile& file, const std::string& name) {
  const auto values = file.tensor<float>(name);
  return {values.begin(), values.end()};
}

}  // namespace

CheckpointFolder::CheckpointFolder(fs::path place, const config::Config& config, const data::Prepared& prepared,
                                   Options options)
    : place_(std::move(place)), identity_(identity_of(config, prepared)), options_(std::move(options)) {
  if (!options_.resume && fs::exists(place_) && options_.on_note) {
    options_.on_note(place_.string() + " has the states of an earlier training; --resume goes on from them");
  }
  if (options_.resume && !fs::exists(place_) && options_.on_note) {
    options_.on_note("there is no state of an earlier training in " + place_.string() + ": it begins anew");
  }
}

fs::path CheckpointFolder::slot(int64_t number) const {
  return place_ / fmt::format("training-{}-{}", training_, number == 0 ? "a" : "b");
}

void CheckpointFolder::check_same_training(const nlohmann::json& found, const fs::path& folder) const {
  for (const char* part : {"learned_from", "settings"}) {
    if (found.at(part) == identity_.at(part)) continue;
    throw UsageError(fmt::format("{} is of a training with other {}", folder.string(),
                                 std::string(part) == "settings" ? "settings" : "data"),
                     "give the same data and settings, or leave --resume out to begin anew");
  }
  if (found.at("learning_rates") != identity_.at("learning_rates") && options_.on_note) {
    options_.on_note(fmt::format("goes on with other learning rates: {}, before {}",
                                 identity_.at("learning_rates").dump(), found.at("learning_rates").dump()));
  }
}

std::optional<TrainState> CheckpointFolder::read(const fs::path& folder) const {
  io::restore_aside(folder);
  if (!fs::exists(folder)) return std::nullopt;
  try {
    const nlohmann::json manifest = io::read_folder(folder, kCheckpointKind, {kTensors});
    check_same_training(manifest.at("training"), folder);
    TrainState state;
    state.report = report_of(manifest.at("report"));
    state.best_ndcg = manifest.at("best_ndcg");
    state.steps = manifest.at("steps");
    state.finished = manifest.at("finished");
    const io::SafetensorsFile file(folder / kTensors);
    for (const nlohmann::json& table : manifest.at("tables")) {
      const std::string name = table.at("name");
      state.tables.push_back({name, table.at("rows"), table.at("cols"), values_of(file, "value." + name),
                              values_of(file, "moment1." + name), values_of(file, "moment2." + name),
                              values_of(file, "best." + name)});
    }
    return state;
  } catch (const DataError& damaged) {
    if (options_.on_note) {
      options_.on_note(
          fmt::format("{} is damaged ({}): the state before it is taken", folder.string(), damaged.what()));
    }
  } catch (const nlohmann::json::exception& damaged) {
    if (options_.on_note) {
      options_.on_note(
          fmt::format("{} is damaged ({}): the state before it is taken", folder.string(), damaged.what()));
    }
  }
  return std::nullopt;
}

std::optional<TrainState> CheckpointFolder::begin() {
  ++training_;
  next_slot_ = 0;
  if (!options_.resume) return std::nullopt;
  std::optional<TrainState> newest;
  for (int64_t number = 0; number < kSlots; ++number) {
    std::optional<TrainState> state = read(slot(number));
    if (!state || (newest && newest->epoch() >= state->epoch())) continue;
    newest = std::move(state);
    next_slot_ = 1 - number;
  }
  if (newest && options_.on_note) {
    options_.on_note(fmt::format("goes on after epoch {} of {}", newest->epoch(), place_.string()));
  }
  return newest;
}

bool CheckpointFolder::due() const {
  const std::chrono::duration<double> since = std::chrono::steady_clock::now() - last_;
  return since.count() >= options_.seconds;
}

bool CheckpointFolder::due_at_the_end() const { return has_put() || options_.resume || due(); }

void CheckpointFolder::put(const TrainState& state) {
  last_ = std::chrono::steady_clock::now();
  // A state is never worth the training.
  try {
    write(state);
  } catch (const DataError& failed) {
    if (options_.on_note) options_.on_note(fmt::format("no state is kept: {}; the training goes on", failed.what()));
  } catch (const UsageError& failed) {
    if (options_.on_note) options_.on_note(fmt::format("no state is kept: {}; the training goes on", failed.what()));
  }
}

void CheckpointFolder::write(const TrainState& state) {
  if (n_put_ == 0 && !options_.resume) clear();
  std::error_code failed;
  fs::create_directory(place_, failed);
  io::SafetensorsWriter tensors;
  nlohmann::json tables = nlohmann::json::array();
  for (const TrainState::Table& t : state.tables) {
    tables.push_back({{"name", t.name}, {"rows", t.rows}, {"cols", t.cols}});
    const auto add = [&](const char* what, const std::vector<float>& values) {
      tensors.add(std::string(what) + "." + t.name, {std::ssize(values)}, values);
    };
    add("value", t.value);
    add("moment1", t.moment1);
    add("moment2", t.moment2);
    add("best", t.best);
  }
  io::FolderWriter writer(slot(next_slot_), kCheckpointKind);
  tensors.write(writer.path() / kTensors);
  writer.commit({{"training", identity_},
                 {"report", json_of(state.report)},
                 {"best_ndcg", state.best_ndcg},
                 {"steps", state.steps},
                 {"finished", state.finished},
                 {"tables", tables}});
  next_slot_ = 1 - next_slot_;
  ++n_put_;
}

void CheckpointFolder::clear() {
  std::error_code ignored;
  if (!fs::is_directory(place_, ignored)) return;
  for (const auto& entry : fs::directory_iterator(place_, ignored)) {
    if (entry.path().filename().string().starts_with("training-")) io::discard_folder(entry.path());
  }
  fs::remove(place_, ignored);  // unless somebody's file is in it
}

}  // namespace sheaf::app
