#pragma once
/// Transactions with the worth of each item, from a file. The format: host/data/README.md.

#include <filesystem>
#include <vector>

#include "engine/mining/high_utility.hpp"

namespace sheaf::problems {

struct UtilityFile {
  UtilityTransactions transactions;  // items coded by ascending id
  std::vector<int64_t> ids;          // [n_items] as the file names them
};

/// DataError with file, line, value and mend. Whole numbers are read exactly: one that no double holds is an error, and
/// whole utilities must add up to their total exactly.
UtilityFile read_utility(const std::filesystem::path& path);

}  // namespace sheaf::problems
