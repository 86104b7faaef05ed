#pragma once
/// Transactions with the worth of each item, from a file. The format: host/data/README.md.

#include <filesystem>
#include <vector>

#include "engine/data/csr.hpp"

namespace sheaf::problems {

struct UtilityFile {
  HostCsr transactions;      // items coded by ascending id
  std::vector<int64_t> ids;  // [n_items] as the file names them
};

/// DataError with file, line, value and mend.
UtilityFile read_utility(const std::filesystem::path& path);

}  // namespace sheaf::problems
