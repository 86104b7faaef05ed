#include "host/cli/workspace.hpp"

#include <fmt/format.h>

#include <sstream>
#include <utility>

#include "engine/models/model_file.hpp"
#include "host/app/joint.hpp"
#include "host/app/learned_rows.hpp"
#include "host/data/unknown_ids.hpp"
#include "host/text/csv.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::cli {
namespace {

/// A trained model keeps its settings: others that were asked for would have no effect.
void refuse_other_settings(const config::Config& config, Recommender& model, const std::filesystem::path& folder) {
  const char* const hint = "leave the setting out, or train another model with it";
  const std::string& asked = config.model.preference;
  if (config.model_settings.contains("model.preference") && asked != model.name()) {
    throw UsageError(
        fmt::format("model.preference = {}, and the model in {} is {}", asked, folder.string(), model.name()), hint);
  }
  for (const auto& [name, value] : values_of(model.settings())) {
    const auto at = config.model_settings.find(name);
    if (at == config.model_settings.end() || at->second == value) continue;
    throw UsageError(fmt::format("{} is a setting of training, and the model in {} was trained with another value",
                                 name, folder.string()),
                     hint);
  }
}

}  // namespace

std::vector<IdOfLine> read_ids(const std::filesystem::path& path) {
  std::vector<IdOfLine> ids;
  std::istringstream lines(text::read_text(path));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    const std::string_view id = text::trim(line);
    if (!id.empty()) ids.push_back({std::string(id), number});
  }
  if (ids.empty()) throw DataError(path.string() + ": the file names no user", "write one id a line");
  return ids;
}

Workspace::Workspace(const Options& options)
    : config(load_settings(options)),
      context(make_context(config)),
      session(*context, config, data::load_prepared(options.data)) {
  session.on_note = [progress = Progress(options.quiet)](const std::string& line) { progress.line("note: " + line); };
}

nlohmann::json Workspace::load_model(const std::filesystem::path& folder) {
  io::LoadedModel loaded = io::load_model(*context, folder);
  refuse_other_settings(config, *loaded.model, folder);
  app::check_fits(*loaded.model, loaded.notes.value("data", std::string()), session.prepared);
  session.set_model(std::move(loaded.model));
  nlohmann::json learned = loaded.notes.value("learned_from", nlohmann::json());
  session.knows_validation = app::knows_validation(learned, session.prepared);
  return learned;
}

std::string known_validation(const app::Session& session) {
  if (!session.knows_validation) return {};
  if (!app::ObjectiveTerms::parse(session.config().search.objective).is_joint()) return {};
  return "the model was fitted to rows of the validation period, too: chances of items that are new to a user are "
         "learned from purchases that it knows, and come out too high";
}

std::vector<int32_t> Workspace::named_users(const Options& options) const {
  std::vector<int32_t> users;
  for (const std::string& id : options.users) users.push_back(session.prepared.find_user(id));
  if (!options.users_file.empty()) {
    data::IdLookup ids(options.users_file, session.prepared, data::unknown_policy(config.run.unknown_ids));
    for (const auto& [id, line] : read_ids(options.users_file)) {
      if (const int32_t user = ids.user(id, line); user >= 0) users.push_back(user);
    }
    ids.require_any();
    session.note(ids.note());
  }
  std::vector<uint8_t> named(static_cast<size_t>(session.prepared.n_users), 0);
  std::erase_if(users, [&](int32_t user) { return std::exchange(named[static_cast<size_t>(user)], uint8_t{1}) != 0; });
  return users;
}

void note_known_validation(const app::Session& session, const Progress& progress) {
  const std::string line = known_validation(session);
  if (!line.empty()) progress.line("note: " + line);
}

std::string result_settings(const config::Config& config) {
  std::string text = config.show();
  const size_t at = text.find("\nthreads = ");
  const size_t begin = text.rfind('\n', at - 1), end = text.find('\n', at + 1);  // with the line of help above it
  return text.erase(begin, end - begin);
}

nlohmann::json training_notes(const config::Config& config, const data::Prepared& prepared,
                              const app::Training& training) {
  const TrainReport& report = training.report;
  nlohmann::json epochs = nlohmann::json::array();
  for (const EpochReport& epoch : report.epochs) {
    nlohmann::json& one = epochs.emplace_back(nlohmann::json{
        {"epoch", epoch.epoch}, {"train_loss", epoch.train_loss}, {"validation_ndcg", epoch.validation_ndcg}});
    if (!epoch.what.empty()) one["what"] = epoch.what;
  }
  nlohmann::json numbers = nlohmann::json::array();
  for (size_t f = 0; f < prepared.numeric_names.size(); ++f) {
    numbers.push_back({{"name", prepared.numeric_names[f]},
                       {"mean", prepared.numeric_mean[f]},
                       {"deviation", prepared.numeric_deviation[f]}});
  }
  return {{"settings", result_settings(config)},   {"data", app::fingerprint(prepared)}, {"item_numbers", numbers},
          {"learned_from", training.learned_from}, {"best_epoch", report.best_epoch},    {"epochs", epochs}};
}

}  // namespace sheaf::cli
