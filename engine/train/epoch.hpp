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
};

}  // namespace sheaf
