#pragma once
/// Trains the network of the fusion model: what was bought should score above what was not, within each window and
/// user.

#include <memory>
#include <span>
#include <vector>

#include "engine/layers/sequential.hpp"
#include "engine/train/epoch.hpp"
#include "engine/train/step_rule.hpp"

namespace sheaf {

/// Rows of one table of features: what a user bought in a window, and what the user might have bought but did not.
struct FusionExamples {
  int64_t width = 0;
  std::vector<float> x;             // [n, width], standardised
  std::vector<int32_t> bought;      // [n_bought] rows
  std::vector<int32_t> group;       // [n_bought] of each: the user in the window
  std::vector<int64_t> offsets{0};  // [n_groups + 1]
  std::vector<int32_t> others;      // group g might have bought others[offsets[g] .. offsets[g + 1] - 1]; not empty
};

struct FusionTraining {
  bool pairwise = true;    // BPR, or binary cross-entropy
  int64_t batch = 512;     // purchases a step
  int64_t negatives = 16;  // drawn for each purchase from its group
  float dropout = 0.0f;
  float positive_weight = 1.0f;  // binary cross-entropy alone
  float group_power = 0.5f;      // a purchase weighs (purchases of its group)^-group_power; the mean weight is 1
  StepRule rule{.learning_rate = 0.003f, .weight_decay = 0.0f};
  uint64_t seed = 1;
};

/// `net` maps [n, width] to [n, 1]; its parameters are ready to be trained. It must outlive the epoch.
std::unique_ptr<Epoch> make_fusion_epoch(Context& context, Sequential& net, FusionExamples examples,
                                         const FusionTraining& training);

/// Scores of rows x [n, width] on the device, in pieces.
void fusion_forward(Context& context, const Sequential& net, MatrixView<const float> x, float* out);

}  // namespace sheaf
