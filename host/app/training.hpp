#pragma once
/// Trains and calibrates the model that model.preference names.

#include <functional>
#include <nlohmann/json.hpp>
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
  /// Rows that the model is fitted to, and those by which it was chosen: learned_rows().
  nlohmann::json learned_from;
  int64_t refitted_lines = 0;  // of the data that the chosen model learned again from (model.refit); 0: it did not
  bool calibrated = false;     // else there is too little to hold back, and P is the plain sigmoid of the score

  const EpochReport& best() const { return report.epochs[static_cast<size_t>(report.best_epoch - 1)]; }
};

/// The session then has the model, learned again from later rows if model.refit asks for it. Its calibration is that of
/// the model which did not see the validation period. `on_epoch` sees every epoch as it ends; `on_note` gets lines for
/// people, each once. `checkpoints`: where states are kept and taken up again, or null.
Training train_model(Session& session, const std::function<void(const EpochReport&)>& on_epoch = {},
                     const std::function<void(const std::string&)>& on_note = {}, Checkpoints* checkpoints = nullptr);

}  // namespace sheaf::app
