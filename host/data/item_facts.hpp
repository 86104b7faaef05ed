#pragma once
/// What the prepared set says of its items: names, categories, prices, numbers. Part of the importer.

#include <cstdint>
#include <vector>

#include "host/data/import.hpp"
#include "host/data/item_table.hpp"
#include "host/data/prepared.hpp"
#include "host/data/rows.hpp"

namespace sheaf::data {

/// Fills item_names, the categories, item_price and the numeric features. `prepared` has its interactions and ids;
/// `kept` are their rows. `table` may be null.
void fill_item_facts(const Rows& rows, const ItemTable* table, const ImportConfig& config,
                     const std::vector<int64_t>& kept, Prepared& prepared);

}  // namespace sheaf::data
