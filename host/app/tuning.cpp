#include "host/app/tuning.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#include "engine/io/file_io.hpp"
#include "host/app/learned_rows.hpp"
#include "host/app/training.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf::app {
namespace {

constexpr int64_t kThird = 3;
constexpr uint32_t kShareStep = 0x73686172;  // no other draw of this purpose has it

double worth(const TuneRun& run) { return std::isnan(run.ndcg) ? -1.0 : run.ndcg; }

nlohmann::json json_of(const TuneRun& run) {
  nlohmann::json line{{"trial", run.trial}, {"round", run.round}, {"share", run.share}, {"seconds", run.seconds}};
  if (run.error.empty()) {
    line.update({{"ndcg", run.ndcg}, {"recall", run.recall}, {"best_epoch", run.best_epoch}});
  } else {
    line["error"] = run.error;
  }
  return line;
}

TuneRun run_of(const nlohmann::json& line) {
  TuneRun run{.trial = line.at("trial"), .round = line.at("round"), .share = line.at("share")};
  run.seconds = line.at("seconds");
  if (line.contains("error")) {
    run.error = line.at("error");
  } else {
    run.ndcg = line.at("ndcg");
    run.recall = line.at("recall");
    run.best_epoch = line.at("best_epoch");
  }
  return run;
}

/// What has been run, on the disk after each run.
class Journal {
 public:
  Journal(std::filesystem::path path, const nlohmann::json& search)
      : path_(std::move(path)), text_(search.dump() + "\n") {
    if (path_.empty() || !std::filesystem::exists(path_)) return;
    std::istringstream lines(io::read_file(path_));
    std::string line;
    std::getline(lines, line);
    if (line + "\n" != text_) {
      throw UsageError(path_.string() + " is the journal of another search: of other data, settings, seed or trials",
                       "remove it to begin anew, or give another --out");
    }
    for (int64_t number = 2; std::getline(lines, line); ++number) {
      try {
        const TuneRun run = run_of(nlohmann::json::parse(line));
        known_[{run.trial, run.round}] = run;
        text_ += line + "\n";
      } catch (const nlohmann::json::exception&) {
        throw DataError(fmt::format("{} line {}: this is no finished run", path_.string(), number),
                        "remove the line, or the file to begin anew");
      }
    }
  }

  const TuneRun* find(int64_t trial, int64_t round) const {
    const auto at = known_.find({trial, round});
    return at == known_.end() ? nullptr : &at->second;
  }
  void add(const TuneRun& run) {
    if (path_.empty()) return;
    text_ += json_of(run).dump() + "\n";
    io::replace_file(path_, text_);
  }

 private:
  std::filesystem::path path_;
  std::string text_;
  std::map<std::pair<int64_t, int64_t>, TuneRun> known_;
};

/// Calls work(w, n) for n = 0 .. count - 1 from `workers` threads, w is the number of the thread. The first error ends
/// all and is thrown.
void in_parallel(int64_t workers, int64_t count, const std::function<void(int64_t, int64_t)>& work) {
  std::atomic<int64_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  const auto loop = [&](int64_t worker) {
    for (int64_t n = next++; n < count; n = next++) {
      try {
        work(worker, n);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::jthread> threads;
  for (int64_t w = 1; w < std::min(workers, count); ++w) threads.emplace_back(loop, w);
  loop(0);
  threads.clear();
  if (error) std::rethrow_exception(error);
}

void put_settings(config::Config& config, const Assignments& trial) {
  for (const auto& [name, value] : trial) config.set(name + "=" + value);
}

void train_one(const config::Config& base, const Assignments& trial, const data::Prepared& prepared, Device device,
               int threads, TuneRun& run) {
  config::Config config = base;
  config.model.refit = "none";
  put_settings(config, trial);
  try {
    Context context(device, {.seed = static_cast<uint64_t>(config.run.seed), .n_threads = threads});
    Session session(context, config, prepared);
    const Training training = train_model(session);
    run.ndcg = training.best().validation_ndcg;
    run.recall = training.best().validation_recall;
    run.best_epoch = training.report.best_epoch;
    run.seconds = training.seconds;
    if (std::isnan(run.ndcg)) run.error = "nothing of the validation period can be judged";
  } catch (const UsageError& error) {
    run.error = error.what();
  } catch (const DataError& error) {
    run.error = error.what();
  } catch (const DeviceError& error) {
    run.error = error.what();
  }
}

std::string run_text(const TuneRun& run, size_t n_left, const Assignments& trial) {
  const std::string head =
      fmt::format("round {}, {:.0f} % of the users, {} trials: ", run.round + 1, 100 * run.share, n_left);
  if (!run.error.empty())
    return fmt::format("{}trial {} failed ({}): {}", head, run.trial, run.error, trial_text(trial));
  return fmt::format("{}trial {} has NDCG@10 {:.4f} in {:.1f} s: {}", head, run.trial, run.ndcg, run.seconds,
                     trial_text(trial));
}

/// A TOML value as text: what is no number, true or false is a string.
std::string toml_value(const std::string& value) {
  if (value == "true" || value == "false") return value;
  char* end = nullptr;
  std::strtod(value.c_str(), &end);
  return !value.empty() && *end == '\0' ? value : fmt::format("\"{}\"", value);
}

}  // namespace

const TuneRun& Tuning::last_of(int64_t trial) const {
  const TuneRun* last = nullptr;
  for (const TuneRun& run : runs) {
    if (run.trial == trial) last = &run;
  }
  return *last;
}

std::vector<double> tune_shares(int64_t n_users, int64_t rounds, int64_t fewest_users) {
  const double least =
      std::min(1.0, static_cast<double>(fewest_users) / static_cast<double>(std::max<int64_t>(1, n_users)));
  std::vector<double> shares{1.0};
  for (int64_t r = 1; r < rounds && shares.back() > least; ++r) {
    shares.push_back(std::max(least, shares.back() / static_cast<double>(kThird)));
  }
  std::ranges::reverse(shares);
  return shares;
}

data::Prepared with_share_of_users(const data::Prepared& prepared, double share, uint64_t seed) {
  data::Prepared part = prepared;
  if (share >= 1.0) return part;
  for (size_t line = 0; line < part.split.size(); ++line) {
    const auto user = static_cast<uint64_t>(part.user[line]);
    const double u = static_cast<double>(random_u32({seed, Purpose::evaluation, kShareStep}, user, 0)) * 0x1.0p-32;
    if (u >= share) part.split[line] = data::kTest;
  }
  return part;
}

Tuning tune(const config::Config& base, const data::Prepared& prepared, const std::vector<TuneDimension>& space,
            int64_t n_trials, const TuneOptions& options) {
  if (std::ranges::find(prepared.split, data::kValidation) == prepared.split.end()) {
    throw DataError("the data has no validation period to choose settings by",
                    "import it with split.validation_days or validation_share above 0");
  }
  const auto seed = static_cast<uint64_t>(base.run.seed);
  Tuning tuning;
  tuning.trials = tune_trials(space, base, n_trials, seed);
  const std::vector<double> shares = tune_shares(prepared.n_users, options.rounds, options.fewest_users);
  config::Config settings = base;
  settings.run.threads = 0;  // changes no result
  nlohmann::json search{{"learned_from", learned_rows(prepared)}, {"shares", shares}, {"settings", settings.show()}};
  for (const Assignments& trial : tuning.trials) search["trials"].push_back(trial_text(trial));
  Journal journal(options.journal, search);

  const int64_t workers = std::max<int64_t>(1, options.parallel);
  const int64_t all_threads =
      base.run.threads > 0 ? base.run.threads : static_cast<int64_t>(std::thread::hardware_concurrency());
  const auto threads = static_cast<int>(std::max<int64_t>(1, all_threads / workers));
  std::vector<int64_t> left;
  for (int64_t t = 0; t < std::ssize(tuning.trials); ++t) left.push_back(t);
  for (int64_t round = 0; round < std::ssize(shares); ++round) {
    const double share = shares[static_cast<size_t>(round)];
    const data::Prepared part = with_share_of_users(prepared, share, seed);
    std::vector<TuneRun> runs(left.size());
    std::mutex mutex;
    in_parallel(workers, std::ssize(left), [&](int64_t worker, int64_t n) {
      check_interrupt("tuning");
      const auto at = static_cast<size_t>(n);
      const Assignments& trial = tuning.trials[static_cast<size_t>(left[at])];
      if (const TuneRun* known = journal.find(left[at], round)) {
        runs[at] = *known;
        const std::lock_guard lock(mutex);
        ++tuning.read_from_journal;
        return;
      }
      runs[at] = {.trial = left[at], .round = round, .share = share};
      const Device device = options.devices[static_cast<size_t>(worker) % options.devices.size()];
      train_one(base, trial, part, device, threads, runs[at]);
      const std::lock_guard lock(mutex);
      journal.add(runs[at]);
      if (options.on_line) options.on_line(run_text(runs[at], left.size(), trial));
    });
    std::ranges::copy(runs, std::back_inserter(tuning.runs));
    std::vector<TuneRun> ranked = runs;
    std::ranges::stable_sort(ranked, std::greater<>(), worth);
    tuning.best = ranked.front().trial;
    if (ranked.front().error.empty()) {
      const auto keep = std::min(ranked.size(), (ranked.size() + kThird - 1) / static_cast<size_t>(kThird));
      std::set<int64_t> kept{0};
      for (size_t n = 0; n < keep; ++n) kept.insert(ranked[n].trial);
      left.assign(kept.begin(), kept.end());
    } else {
      throw DataError("every trial failed: " + ranked.front().error, "mend the settings to choose among");
    }
  }
  return tuning;
}

std::string best_settings(const Tuning& tuning, const config::Config& base) {
  const Assignments& best = tuning.trials[static_cast<size_t>(tuning.best)];
  std::string text = fmt::format(
      "# Found by sheaf tune on the validation period: NDCG@10 {:.4f}; {:.4f} with the settings as they were\n"
      "# ({} trials, seed {}).\n",
      tuning.last_of(tuning.best).ndcg, tuning.last_of(0).ndcg, tuning.trials.size(), base.run.seed);
  if (best.empty()) return text + "# Nothing was better than the settings as they were.\n";
  std::map<std::string, std::string> sections;
  for (const auto& [name, value] : best) {
    const size_t dot = name.find('.');
    sections[name.substr(0, dot)] += fmt::format("{} = {}\n", name.substr(dot + 1), toml_value(value));
  }
  for (const auto& [section, lines] : sections) text += fmt::format("\n[{}]\n{}", section, lines);
  return text;
}

std::string trial_text(const Assignments& trial) {
  std::string text;
  for (const auto& [name, value] : trial) text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", name, value);
  return text.empty() ? "the settings as they are" : text;
}

}  // namespace sheaf::app
