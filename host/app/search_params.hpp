#pragma once
/// The settings of [search] with ids resolved.

#include "engine/bundles/bundle_search.hpp"
#include "host/config/config.hpp"
#include "host/data/prepared.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::app {

/// No bundle meets the constraints: which, and by how much.
struct NoBundle : DataError {
  using DataError::DataError;
};

/// DataError for an unknown id.
SearchParams search_params(const data::Prepared& prepared, const config::Config& config);

}  // namespace sheaf::app
