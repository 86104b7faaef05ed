// tune: a model's settings, chosen on the validation period.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/file_io.hpp"
#include "engine/io/folder.hpp"
#include "host/app/tuning.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/workspace.hpp"
#include "host/report/csv_cells.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTuningKind = "tuning";

/// All CUDA devices where none is named by its number; else the one that the settings name.
std::vector<Device> devices_of(const config::Config& config) {
  const Device first = resolve_device(config.run.device);
  std::vector<Device> devices{first};
  if (first.backend != Backend::cuda || (config.run.device != "auto" && config.run.device != "cuda")) return devices;
  devices.clear();
  for (const DeviceInfo& info : list_devices(false)) {
    if (info.device.backend == first.backend) devices.push_back(info.device);
  }
  return devices;
}

std::string runs_csv(const app::Tuning& tuning, bool guard) {
  const report::CsvCells cells(guard);
  std::string csv = "trial,round,share_of_users,ndcg,recall,best_epoch,settings,error\n";
  for (const app::TuneRun& run : tuning.runs) {
    const bool failed = !run.error.empty();
    csv +=
        fmt::format("{},{},{:.6g},{},{},{},{},{}\n", run.trial, run.round + 1, run.share,
                    failed ? "" : fmt::format("{:.6f}", run.ndcg), failed ? "" : fmt::format("{:.6f}", run.recall),
                    failed ? "" : std::to_string(run.best_epoch),
                    cells.text(app::trial_text(tuning.trials[static_cast<size_t>(run.trial)])), cells.text(run.error));
  }
  return csv;
}

/// The runs on all users, best first.
std::vector<app::TuneRun> finals(const app::Tuning& tuning) {
  std::vector<app::TuneRun> runs;
  for (const app::TuneRun& run : tuning.runs) {
    if (run.round == tuning.runs.back().round && run.error.empty()) runs.push_back(run);
  }
  std::ranges::stable_sort(runs, std::greater<>(), &app::TuneRun::ndcg);
  return runs;
}

std::string finals_text(const app::Tuning& tuning) {
  Table table({"settings", ">NDCG@10", ">Recall@10", ">epoch", ">seconds"});
  for (const app::TuneRun& run : finals(tuning)) {
    table.add({app::trial_text(tuning.trials[static_cast<size_t>(run.trial)]), fmt::format("{:.4f}", run.ndcg),
               fmt::format("{:.4f}", run.recall), std::to_string(run.best_epoch), fmt::format("{:.1f}", run.seconds)});
  }
  return table.str();
}

nlohmann::json finals_json(const app::Tuning& tuning) {
  nlohmann::json runs = nlohmann::json::array();
  for (const app::TuneRun& run : finals(tuning)) {
    nlohmann::json settings = nlohmann::json::object();
    for (const auto& [name, value] : tuning.trials[static_cast<size_t>(run.trial)]) settings[name] = value;
    runs.push_back({{"trial", run.trial},
                    {"settings", settings},
                    {"validation_ndcg", run.ndcg},
                    {"validation_recall", run.recall},
                    {"best_epoch", run.best_epoch}});
  }
  return {{"trials", tuning.trials.size()}, {"runs", tuning.runs.size()}, {"best", tuning.best}, {"finals", runs}};
}

}  // namespace

void run_tune(const Options& options) {
  const Progress progress(options.quiet);
  io::FolderWriter writer(options.out, kTuningKind);
  const config::Config config = load_settings(options);
  const std::vector<app::TuneDimension> space = app::read_tune_space(options.space);
  const data::Prepared prepared = data::load_prepared(options.data);
  fs::path journal = io::behind_link(options.out);
  journal += ".trials.jsonl";
  const app::Tuning tuning = app::tune(config, prepared, space, options.trials,
                                       {.rounds = options.rounds,
                                        .parallel = options.parallel,
                                        .devices = devices_of(config),
                                        .journal = journal,
                                        .on_line = [&](const std::string& line) { progress.line(line); }});
  if (tuning.read_from_journal > 0) {
    progress.line(fmt::format("{} runs were read from {}", tuning.read_from_journal, journal.string()));
  }
  io::write_file(writer.path() / "best.toml", app::best_settings(tuning, config));
  io::write_file(writer.path() / "trials.csv", runs_csv(tuning, config.run.guard_formulas));
  writer.commit({{"best", tuning.best}, {"settings", result_settings(config)}});
  std::error_code gone;
  fs::remove(journal, gone);
  progress.line("wrote " + options.out.string());
  if (options.json) {
    print(finals_json(tuning).dump(2) + "\n");
    return;
  }
  print(finals_text(tuning) + fmt::format("\nsheaf train {} --settings {} --out model\n", options.data.string(),
                                          (options.out / "best.toml").string()));
}

}  // namespace sheaf::cli
