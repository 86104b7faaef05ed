#pragma once
/// One pass over the training purchases; the trainer knows nothing else of a loss.

#include <cstdint>

#include "engine/train/step_rule.hpp"

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

  /// What a plateau makes of the learning rate of the epochs to come; the trainer says it before each.
  void set_plateau_share(double share) { plateau_share_ = share; }
  /// Of the last step.
  float learning_rate() const { return learning_rate_; }

 protected:
  /// For step number `step` of the `n_steps` of an epoch, the `number`th step of all, from 1.
  OptimizerParams step_params(const StepRule& rule, int64_t epoch, int64_t step, int64_t n_steps, int64_t number) {
    learning_rate_ =
        rule.learning_rate * static_cast<float>(rule.schedule.share(epoch, step, n_steps) * plateau_share_);
    return rule.params(learning_rate_, number);
  }

 private:
  double plateau_share_ = 1.0;
  float learning_rate_ = 0.0f;
};

}  // namespace sheaf
