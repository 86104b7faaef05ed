#pragma once
/// A prepared set as the engine wants it: the catalog, and who bought what in each period.

#include <cstdint>
#include <vector>

#include "engine/data/catalog.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::app {

/// Numbers that are 0 for every item are left out.
Catalog make_catalog(const data::Prepared& prepared);

/// The same lines with those of the validation period in the training period, and on request those of the test period.
data::Prepared with_later_lines(const data::Prepared& prepared, bool test_too);
/// The weight of a training pair is the sum over its lines of exp(-age / recency_days), age in days before the last
/// training line. With recency_days = 0 it is the number of its lines.
Purchases make_purchases(const data::Prepared& prepared, double recency_days);

/// 0, 1, .. n - 1
std::vector<int32_t> all_ids(int64_t n);

}  // namespace sheaf::app
