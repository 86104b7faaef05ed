#pragma once
/// Settings that mean nothing on a data set.

#include "host/config/config.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::app {

/// UsageError for the first setting that was changed from its default and needs what the data does not have: prices,
/// times or categories. It names the setting, and the column of the import that would give it a meaning.
void refuse_meaningless(const data::Prepared& prepared, const config::Config& config);

}  // namespace sheaf::app
