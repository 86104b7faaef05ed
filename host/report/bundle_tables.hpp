#pragma once
/// The report's tables of bundles beside baselines.

#include <string>

#include "host/app/bundle_quality.hpp"

namespace sheaf::report {

/// HTML: a heading, how to read it, and a table each for users and for the catalog.
std::string bundle_tables(const app::BundleQuality& quality, const std::string& currency);

}  // namespace sheaf::report
