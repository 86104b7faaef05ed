#pragma once
/// What the command line said. One struct for all subcommands: each reads what its own options fill.

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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

  std::vector<std::filesystem::path> files;  // import: the transactions

  std::filesystem::path file;           // mine: the transactions; solve: the problem; complete: the started
  std::filesystem::path import_config;  // import: how to read them
  std::filesystem::path data;           // a prepared set
  std::filesystem::path model;          // a trained model
  std::filesystem::path out;            // the folder to write
  std::vector<std::string> users;       // search, score, complete: ids; score: empty for all
  std::filesystem::path users_file;     // search, score: ids, one a line
  std::string item;                     // associate, search: id or part of the name
  std::vector<std::string> items;       // complete: ids or names, with commas between
  int64_t size = 0;                     // complete: items of the bundle; 0: list single items
  std::optional<int64_t> k;             // complete: items listed, 10 if not given
  std::filesystem::path like;           // complete, search: bundles to learn from
  bool together = false;                // search: one bundle for all users that are named
  bool bound = false;                   // search: an upper bound beside each bundle
  std::filesystem::path write_problem;  // search: write the problem, and stop
  bool front = false;                   // search, solve: several objectives
  std::optional<std::string> format;    // solve: by the file if not given
  std::optional<std::string> method;    // solve: portfolio if not given
  std::optional<double> time_limit;     // solve: seconds; 0, or not given: the same work on every machine
  bool maximize = false;                // solve: a QUBO file
  bool no_bound = false;                // solve
  std::optional<int64_t> population;    // solve: of the front's genetic algorithm, 128 if not given
  std::optional<int64_t> generations;   // solve: likewise, 200 if not given
  int64_t top = 20;                     // mine: sets
  bool resume = false;                  // train: go on from the newest state beside --out
  double checkpoint_seconds = 60.0;     // train: between two states
  std::filesystem::path space;          // tune: the settings to choose among
  int64_t trials = 27, rounds = 3;      // tune
  int64_t parallel = 1;                 // tune: trials at a time
  bool no_measure = false;              // devices
  std::string suite, filter;            // bench
  std::filesystem::path markdown;       // bench: the table as a file
  bool list = false;                    // bench: the names alone
};

/// An option's name, and whether the command line has it.
struct GivenOption {
  const char* name;
  bool given;
};
/// UsageError "NAME has no effect WHERE" for the first that is given.
void refuse_given(std::initializer_list<GivenOption> options, const std::string& where, const std::string& mend);

/// Defaults, the settings file, SHEAF_DEVICE, --set, then --device and --seed. `reads`: the sections ("run") and
/// settings ("search.islands") that the subcommand heeds; UsageError for another one after --set. A settings file may
/// have others: it can serve several subcommands. Empty: all.
config::Config load_settings(const Options& options, std::initializer_list<std::string_view> reads = {});
/// A context on the device that the settings name.
std::unique_ptr<Context> make_context(const config::Config& config);
/// "0.1.0 (revision)"
std::string version_text();

}  // namespace sheaf::cli
