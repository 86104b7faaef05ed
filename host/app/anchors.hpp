#pragma once
/// The items around which a catalog's searches start.

#include <cstdint>
#include <vector>

#include "host/config/config.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::app {

/// The first search.anchors items by search.anchor_by that are not `forbidden`. Ties go by `wanted` [n_items], then by
/// number. Days end with the last purchase of train.
/// - wanted: by `wanted`, the users' mean probability.
/// - trending: by purchases in the last search.anchor_days minus purchases in as many days before; only items that
///   gained.
/// - new: by `wanted`; only items whose first purchase of train lies in the last search.anchor_days.
/// Throws NoBundle if every item is forbidden, or none is new or gained.
std::vector<int32_t> choose_anchors(const data::Prepared& prepared, const config::Config& config,
                                    const std::vector<float>& wanted, const std::vector<int32_t>& forbidden);

}  // namespace sheaf::app
