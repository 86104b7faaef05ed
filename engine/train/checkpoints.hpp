#pragma once
/// States of a training between two epochs, from which it goes on bit for bit as if it had never stopped. All draws are
/// keyed by (seed, epoch, step), so that parameters, moments, steps and what was judged are the whole state.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/train/train_report.hpp"

namespace sheaf {

struct TrainState {
  struct Table {
    std::string name;
    int64_t rows = 0, cols = 0;
    std::vector<float> value, moment1, moment2;  // [rows, cols]; moments may be empty: this parameter is not trained
    std::vector<float> best;                     // [rows, cols] of the best epoch
  };
  TrainReport report;  // of the epochs so far
  double best_ndcg = -1.0;
  int64_t steps = 0;  // Epoch::steps()
  bool finished = false;
  std::vector<Table> tables;

  int64_t epoch() const { return static_cast<int64_t>(report.epochs.size()); }
};

/// Where states are kept. One run may train several times, always in the same order.
class Checkpoints {
 public:
  Checkpoints() = default;
  virtual ~Checkpoints() = default;
  Checkpoints(const Checkpoints&) = delete;
  Checkpoints& operator=(const Checkpoints&) = delete;

  /// The next training of this run begins: its newest state, if there is one.
  virtual std::optional<TrainState> begin() = 0;
  /// Whether a state should be put now: the last one, or the beginning, is long ago.
  virtual bool due() const = 0;
  /// Whether a state should be put before an interrupted run ends: it has lasted long, or has put a state before.
  virtual bool due_at_the_end() const = 0;
  virtual void put(const TrainState& state) = 0;
};

}  // namespace sheaf
