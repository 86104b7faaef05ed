#pragma once
/// Spellings of the command line that were valid once, and what to write today.

#include <optional>
#include <string>
#include <vector>

namespace sheaf::cli {

struct FormerSpelling {
  std::string what, mend;
};

/// The first former spelling among the words after the program's name, or none. Only for words that do not parse.
std::optional<FormerSpelling> former_spelling(const std::vector<std::string>& words);

}  // namespace sheaf::cli
