#pragma once
/// The tables of bundles beside baselines as text for a terminal.

#include <string>

#include "host/app/bundle_quality.hpp"

namespace sheaf::cli {

/// All columns, for users and for the catalog.
std::string bundle_quality_text(const app::BundleQuality& quality, const std::string& currency);
/// Ours beside the strongest baselines, a few lines.
std::string bundle_quality_short(const app::BundleQuality& quality, const std::string& currency);

}  // namespace sheaf::cli
