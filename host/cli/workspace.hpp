#pragma once
/// What most subcommands begin with: the settings, a device, a prepared set, a model.

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/app/session.hpp"
#include "host/app/training.hpp"
#include "host/cli/console.hpp"
#include "host/cli/options.hpp"

namespace sheaf::cli {

struct Workspace {
  /// Loads options.data.
  explicit Workspace(const Options& options);

  config::Config config;
  std::unique_ptr<Context> context;
  app::Session session;

  /// Into the session. UsageError if it does not fit the data. Gives what the model says of the rows that it learned
  /// from (app/learned_rows.hpp); nothing if it was written by an earlier version.
  nlohmann::json load_model(const std::filesystem::path& folder);
  /// Codes of --user and of the file of --users, each once, in the order in which they first come. DataError for an
  /// unknown one of --user, with the nearest known; those of the file as run.unknown_ids says.
  std::vector<int32_t> named_users(const Options& options) const;
};

struct IdOfLine {
  std::string id;
  int64_t line;  // of its file, from 1
  bool operator==(const IdOfLine&) const = default;
};
/// The ids of a file, one in each line, without blanks around them. DataError for a file without any.
std::vector<IdOfLine> read_ids(const std::filesystem::path& path);

/// A line where chances are learned from a validation period that the model was fitted to; else empty.
std::string known_validation(const app::Session& session);
void note_known_validation(const app::Session& session, const Progress& progress);

/// All settings as TOML but run.threads, which changes no result: for manifests.
std::string result_settings(const config::Config& config);

/// For the manifest of a model: the settings and the course of the training.
nlohmann::json training_notes(const config::Config& config, const data::Prepared& prepared,
                              const app::Training& training);

}  // namespace sheaf::cli
