#pragma once
/// Results as text for a terminal.

#include <limits>
#include <string>

#include "host/app/quality.hpp"
#include "host/app/searches.hpp"
#include "host/app/training.hpp"
#include "host/data/import.hpp"

namespace sheaf::cli {

std::string import_text(const data::Prepared& prepared, const data::ImportReport& report);
/// One line an epoch, or a try of a closed form; with the learning rate, if that is another than `shown_rate`.
std::string epoch_text(const EpochReport& epoch, double shown_rate = std::numeric_limits<double>::quiet_NaN());
/// What training came to, in a few words.
std::string training_text(const TrainReport& report);
/// Of a model that was fitted again to later lines.
std::string refit_text(const app::Training& trained);
/// The model and the baselines at every length, then the bundles.
std::string quality_text(const app::Quality& quality, const std::string& currency);
/// Foreseen chances against what the test period shows; empty without one.
std::string reliability_text(const app::Quality& quality);
/// The offers as a merchant reads them, at most `count`.
std::string offers_text(const data::Prepared& prepared, const std::vector<app::Offer>& offers, size_t count);
/// A user's bundle in a few lines.
std::string user_bundle_text(const data::Prepared& prepared, const Bundle& bundle,
                             const std::vector<app::Reason>& reasons);

}  // namespace sheaf::cli
