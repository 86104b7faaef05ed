#pragma once
/// A prepared set into a place that was claimed before the work.

#include "engine/io/folder.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::data {

/// Writes and commits the folder; `writer` is of kPreparedKind. The same data gives the same bytes.
void save_prepared(const Prepared& prepared, io::FolderWriter& writer);

}  // namespace sheaf::data
