#pragma once
/// Results as text for a terminal.

#include <string>

#include "host/app/pipeline.hpp"
#include "host/data/import.hpp"

namespace sheaf::cli {

std::string import_text(const data::Prepared& prepared, const data::ImportReport& report);
/// One line an epoch.
std::string epoch_text(const EpochReport& epoch);
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
