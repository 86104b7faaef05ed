#pragma once
/// Settings of a model found on the validation period: random search with successive halving (Jamieson and Talwalkar,
/// "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016).
///
/// Round r trains every trial that is left on a share of the users and keeps the best third. The shares grow threefold
/// up to all users. No share is below `fewest_users`. The users of a share are drawn from the seed; those of a smaller
/// share are among those of a larger one. Trial 0, the settings as they are, stays to the end, so that the result shows
/// what was gained. What a trial gives depends on no other trial and on no number of threads.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "host/app/tune_space.hpp"
#include "host/data/prepared.hpp"
#include "kernels/core/device.hpp"

namespace sheaf::app {

struct TuneOptions {
  int64_t rounds = 3;                     // at most; the first share is 3^(1 - rounds)
  int64_t fewest_users = 200;             // of a share
  int64_t parallel = 1;                   // trials at a time, each with its part of the threads
  std::vector<Device> devices{Device{}};  // trial after trial on the next of them
  /// One JSON line for each finished run. If it is there, what it says is not run again. Empty: none is kept.
  std::filesystem::path journal{};
  std::function<void(const std::string&)> on_line = {};
};

/// One trial trained on one share of the users.
struct TuneRun {
  int64_t trial = 0;
  int64_t round = 0;
  double share = 1.0;
  double ndcg = std::numeric_limits<double>::quiet_NaN();  // of the validation period, of the best epoch; NaN: failed
  double recall = std::numeric_limits<double>::quiet_NaN();
  int64_t best_epoch = 0;
  double seconds = 0.0;
  std::string error{};  // why it failed: settings that do not go together, or too little memory
};

struct Tuning {
  std::vector<Assignments> trials;
  std::vector<TuneRun> runs;  // by round, then by trial
  int64_t best = 0;           // the best trial of the last round
  int64_t read_from_journal = 0;

  const TuneRun& last_of(int64_t trial) const;  // in the highest round that it reached
};

/// Shares of the users by round, ascending to 1.
std::vector<double> tune_shares(int64_t n_users, int64_t rounds, int64_t fewest_users);
/// `prepared` with only a share of the users in the training and validation periods: the lines of the others are in the
/// test period, which nothing here looks at.
data::Prepared with_share_of_users(const data::Prepared& prepared, double share, uint64_t seed);

/// DataError without a validation period, or if every trial fails; UsageError for a journal of another search.
/// Interrupted keeps the journal.
Tuning tune(const config::Config& base, const data::Prepared& prepared, const std::vector<TuneDimension>& space,
            int64_t n_trials, const TuneOptions& options);

/// The settings of the best trial, for --settings.
std::string best_settings(const Tuning& tuning, const config::Config& base);
/// "model.dim = 64, model.loss = bpr", or "the settings as they are".
std::string trial_text(const Assignments& trial);

}  // namespace sheaf::app
