#pragma once
/// Substitutes and complements of a data set (engine/associate/substitutes.hpp), judged from its training baskets.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/associate/substitutes.hpp"
#include "engine/data/catalog.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::app {

/// A product's name without the size at its end: words with a digit and units of measure. "EGGS - LARGE 1 DZ" and "EGGS
/// - LARGE 18 CT" are both "EGGS - LARGE". At least the first word stays.
std::string product_type(std::string_view name);

/// [n_items] items of one category and one product type have the same number.
std::vector<int32_t> product_types(const data::Prepared& prepared);

/// [n_items] the category, -1 for an item that has none.
std::vector<int32_t> known_categories(const data::Prepared& prepared);

PairRelations relate_pairs(const data::Prepared& prepared, const Purchases& purchases);

/// [n_items, n_items] symmetric pattern of all substitutes: those with evidence, and in categories of at most 2,000
/// items also those that only their product types tell.
HostCsr all_substitutes(const PairRelations& relations, const data::Prepared& prepared);

}  // namespace sheaf::app
