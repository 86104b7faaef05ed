#pragma once
/// Checkpoints on the disk: a folder with two states of each training of a run, the newest and the one before it. Each
/// is a folder of its own with a manifest and checksums, put in place by a rename: what is there is whole.

#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "engine/train/checkpoints.hpp"
#include "host/config/config.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::app {

class CheckpointFolder final : public Checkpoints {
 public:
  struct Options {
    double seconds = 60.0;  // between two states, and before the first
    bool resume = false;    // else the states of an earlier run are left alone until the first new one
    std::function<void(const std::string&)> on_note = {};
  };
  /// `place` may be missing. With `resume`, UsageError if states there are of other data or settings; other learning
  /// rates and numbers of threads are allowed, and the first is noted.
  CheckpointFolder(std::filesystem::path place, const config::Config& config, const data::Prepared& prepared,
                   Options options);

  std::optional<TrainState> begin() override;
  bool due() const override;
  bool due_at_the_end() const override;
  /// A state that cannot be written (a full disk) is noted, and the training goes on.
  void put(const TrainState& state) override;

  /// When the result is in its place: removes all.
  void clear();
  bool has_put() const { return n_put_ > 0; }

 private:
  void write(const TrainState& state);
  /// One of the two places of the present training.
  std::filesystem::path slot(int64_t number) const;
  /// A state and its place; nothing if there is none or it is damaged, which is noted.
  std::optional<TrainState> read(const std::filesystem::path& folder) const;
  void check_same_training(const nlohmann::json& found, const std::filesystem::path& folder) const;

  std::filesystem::path place_;
  nlohmann::json identity_;
  Options options_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  int64_t training_ = 0;  // the number of the present one, from 1
  int64_t next_slot_ = 0;
  int64_t n_put_ = 0;
};

}  // namespace sheaf::app
