#pragma once
/// What a training says of itself.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace sheaf {

struct EpochReport {
  int64_t epoch = 0;                                             // from 1; of a closed form the number of the try
  std::string what;                                              // of a closed form: what was tried, "ease.l2 = 500"
  double train_loss = std::numeric_limits<double>::quiet_NaN();  // mean over the epoch's steps; NaN of a closed form
  double validation_ndcg = std::numeric_limits<double>::quiet_NaN();  // NaN where there was no validation
  double validation_recall = std::numeric_limits<double>::quiet_NaN();
  bool best = false;
  double learning_rate = std::numeric_limits<double>::quiet_NaN();  // of the epoch's last step; NaN of a closed form
};

struct TrainReport {
  std::vector<EpochReport> epochs;
  int64_t best_epoch = 0;
  bool stopped_early = false;
};

}  // namespace sheaf
