#pragma once
/// An item as a person names it.

#include <cstdint>
#include <string_view>

#include "host/data/prepared.hpp"

namespace sheaf::data {

/// The item whose id is `text`; else the one whose name is `text`; else the only one whose name contains `text` (ASCII
/// letters in either case). DataError if there is none, with the nearest names, or if there are several, with the first
/// of them.
int32_t find_item_by_name(const Prepared& prepared, std::string_view text);

}  // namespace sheaf::data
