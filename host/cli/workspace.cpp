#include "host/cli/workspace.hpp"

#include <numeric>

#include "engine/checkpoint/model_io.hpp"

namespace sheaf::cli {

Workspace::Workspace(const Options& options)
    : config(load_settings(options)),
      context(make_context(config)),
      dataset(data::load_prepared(options.data), config) {}

std::unique_ptr<PreferenceModel> Workspace::load_model(const std::filesystem::path& folder) {
  const checkpoint::LoadedModel loaded = checkpoint::load_model(folder);
  auto model = std::make_unique<PreferenceModel>(*context, loaded.state);
  app::check_fits(*model, loaded.notes.value("data", std::string()), dataset.prepared);
  return model;
}

std::vector<int32_t> Workspace::all_users() const {
  std::vector<int32_t> users(static_cast<size_t>(dataset.prepared.n_users));
  std::iota(users.begin(), users.end(), 0);
  return users;
}

std::vector<int32_t> Workspace::find_users(const std::vector<std::string>& ids) const {
  std::vector<int32_t> users;
  for (const std::string& id : ids) users.push_back(dataset.prepared.find_user(id));
  return users;
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
