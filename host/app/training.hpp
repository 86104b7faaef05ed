#pragma once
/// Trains and calibrates the model that model.preference names.

#include <functional>
#include <string>

#include "engine/models/recommender.hpp"
#include "host/app/session.hpp"

namespace sheaf::app {

struct Training {
  FitReport report;
  double seconds = 0;
  /// Where there is no validation period: the number of the newest baskets that a first model did not see. Its choices
  /// and its calibration are used for the model that is trained on all.
  int64_t held_back_baskets = 0;
  bool calibrated = false;  // else there is too little to hold back, and P is the plain sigmoid of the score

  const EpochReport& best() const { return report.epochs[static_cast<size_t>(report.best_epoch - 1)]; }
};

/// The session then has the model. `on_epoch` sees every epoch as it ends; `on_note` gets lines for people, each once.
Training train_model(Session& session, const std::function<void(const EpochReport&)>& on_epoch = {},
                     const std::function<void(const std::string&)>& on_note = {});

}  // namespace sheaf::app
