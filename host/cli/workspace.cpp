#include "host/cli/workspace.hpp"

#include <fstream>

#include "engine/io/file_io.hpp"
#include "engine/models/model_file.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

std::vector<std::string> read_ids(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) io::throw_errno("cannot read", path);
  std::vector<std::string> ids;
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) ids.push_back(line);
  }
  if (ids.empty()) throw DataError(path.string() + ": the file names no user", "write one id a line");
  return ids;
}

}  // namespace

Workspace::Workspace(const Options& options)
    : config(load_settings(options)),
      context(make_context(config)),
      dataset(data::load_prepared(options.data), config) {}

std::unique_ptr<PreferenceModel> Workspace::load_model(const std::filesystem::path& folder) {
  const io::LoadedModel loaded = io::load_model(folder);
  auto model = std::make_unique<PreferenceModel>(*context, loaded.state);
  app::check_fits(*model, loaded.notes.value("data", std::string()), dataset.prepared);
  return model;
}

std::vector<int32_t> Workspace::find_users(const std::vector<std::string>& ids) const {
  std::vector<int32_t> users;
  for (const std::string& id : ids) users.push_back(dataset.prepared.find_user(id));
  return users;
}

std::vector<int32_t> Workspace::named_users(const Options& options) const {
  std::vector<std::string> ids = options.users;
  if (!options.users_file.empty()) {
    const std::vector<std::string> more = read_ids(options.users_file);
    ids.insert(ids.end(), more.begin(), more.end());
  }
  return find_users(ids);
}

nlohmann::json training_notes(const config::Config& config, const data::Prepared& prepared, const TrainReport& report) {
  nlohmann::json epochs = nlohmann::json::array();
  for (const EpochReport& epoch : report.epochs) {
    epochs.push_back(
        {{"epoch", epoch.epoch}, {"train_loss", epoch.train_loss}, {"validation_ndcg", epoch.validation_ndcg}});
  }
  return {{"settings", config.show()},
          {"data", app::fingerprint(prepared)},
          {"best_epoch", report.best_epoch},
          {"epochs", epochs}};
}

}  // namespace sheaf::cli
