#pragma once
/// What the two readers of TOML share: parsing with our errors, and where a node stands.

#include <toml++/toml.h>

#include <filesystem>
#include <string>

namespace sheaf::config {

/// UsageError with file, line and the parser's reason.
toml::table parse_toml(const std::filesystem::path& path);
/// "<file> line 7: ", or nothing for a node that came from no file.
std::string location(const std::filesystem::path& path, const toml::node& node);

}  // namespace sheaf::config
