#pragma once
/// One pass over the training purchases; the trainer knows nothing else of a loss.

#include <cstdint>

namespace sheaf {

class Epoch {
 public:
  Epoch() = default;
  virtual ~Epoch() = default;
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;

  /// Updates the model on the device and returns the mean training loss. Throws Interrupted between steps.
  virtual double run(int64_t epoch) = 0;
  /// Optimizer steps so far, where corrections or draws depend on their number; a training that is taken up again gets
  /// them back.
  virtual int64_t steps() const { return 0; }
  virtual void set_steps(int64_t) {}
};

}  // namespace sheaf
