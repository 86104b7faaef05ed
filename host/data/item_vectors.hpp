#pragma once
/// Vectors of items that were made elsewhere, from texts or images. Part of the importer.

#include <filesystem>

#include "host/data/import.hpp"
#include "host/data/item_table.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::data {

/// Fills item_vectors from config.vectors, if it names a file; files are looked for in `folder`. `table` is there where
/// config.vectors.ids is empty. Items without a vector get zeros and are counted in `report`. DataError for ids that
/// are not as many as the vectors, that are there twice, or of which the data knows none.
void fill_item_vectors(const ItemTable* table, const ImportConfig& config, const std::filesystem::path& folder,
                       Prepared& prepared, ImportReport& report);

}  // namespace sheaf::data
