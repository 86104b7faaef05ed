#pragma once
/// What the command line said. One struct for all subcommands: each reads what its own options fill.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/config/config.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::cli {

struct Options {
  // Every subcommand.
  bool json = false;
  bool quiet = false;
  std::string device;              // empty: run.device of the settings
  std::optional<uint64_t> seed;    // empty: run.seed of the settings
  std::vector<std::string> set;    // "section.key=value"
  std::vector<std::string> flags;  // the same, from options that stand for a setting
  std::filesystem::path settings;  // a TOML file

  std::filesystem::path file;           // import: the transactions
  std::filesystem::path import_config;  // import: how to read them
  std::filesystem::path data;           // a prepared set
  std::filesystem::path model;          // a trained model
  std::filesystem::path out;            // the folder to write
  std::vector<std::string> users;       // search, score: ids; score: empty for all
  std::filesystem::path users_file;     // search, score: ids, one a line
  std::string item;                     // associate, search: id or part of the name
  std::vector<std::string> items;       // complete: ids or names, with commas between
  int64_t size = 0;                     // complete: items of the bundle; 0: list single items
  int64_t k = 10;                       // complete: items listed
  std::filesystem::path like;           // complete, search: bundles to learn from
  bool together = false;                // search: one bundle for all users that are named
  bool bound = false;                   // search: an upper bound beside each bundle
  std::filesystem::path write_problem;  // search: write the problem, and stop
  std::filesystem::path problem;        // search: a problem of its own
  std::string format = "toml";          // search: of the problem
  std::string method = "portfolio";     // search: of the problem
  double time_limit = 0.0;              // search: seconds; 0: the same work on every machine
  bool maximize = false;                // search: a QUBO file
  bool no_bound = false;                // search: of the problem
  int64_t top = 20;                     // search: sets of a utility file
  bool pareto = false;                  // search: a problem of several objectives
  int64_t population = 128;             // search: of its genetic algorithm
  int64_t generations = 200;            // search: likewise
  bool no_measure = false;              // devices
  std::string suite, filter;            // bench
  std::filesystem::path markdown;       // bench: the table as a file
  bool list = false;                    // bench: the names alone
};

/// Defaults, the settings file, SHEAF_DEVICE, --set, then --device and --seed.
config::Config load_settings(const Options& options);
/// A context on the device that the settings name.
std::unique_ptr<Context> make_context(const config::Config& config);
/// "0.1.0 (revision)"
std::string version_text();

}  // namespace sheaf::cli
