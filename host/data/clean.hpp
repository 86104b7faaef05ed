#pragma once
/// Which rows go into the prepared set, and in which split they are. Part of the importer.

#include <cstdint>
#include <utility>
#include <vector>

#include "host/data/import.hpp"
#include "host/data/item_table.hpp"
#include "host/data/rows.hpp"
#include "kernels/core/context.hpp"

namespace sheaf::data {

/// The rows that no rule drops, in the file's order. Every rule is counted in `report`. `items` may be null.
std::vector<int64_t> clean_rows(const Rows& rows, const ItemTable* items, const ImportConfig& config,
                                const Context& context, ImportReport& report);

/// Basket of each of `kept` (rows in the order of time): dense, by first appearance; a basket has one user.
std::vector<int32_t> number_baskets(const Rows& rows, const std::vector<int64_t>& kept);

/// Split of each of `kept` (rows in the order of time). A basket is never cut by a temporal or leave-last-out split.
std::vector<uint8_t> split_rows(const Rows& rows, const std::vector<int64_t>& kept, const ImportConfig::Split& split);

/// The times after which validation and test begin, in a temporal split of rows of which the last is at `last`.
std::pair<int64_t, int64_t> temporal_borders(int64_t last, const ImportConfig::Split& split);

/// Drops items that too few users have in train, and users that have too few items in train, again and again until both
/// rules hold. Shortens `kept` and `split` alike.
void thin_rows(const Rows& rows, const ImportConfig::Clean& clean, std::vector<int64_t>& kept,
               std::vector<uint8_t>& split, ImportReport& report);

}  // namespace sheaf::data
