#pragma once
/// What the two readers of TOML share: parsing with our errors, and where a node stands.

#include <toml++/toml.h>

#include <filesystem>
#include <optional>
#include <string>

namespace sheaf::config {

/// UsageError with file, line and the parser's reason, and for a file of more than 16 MiB.
toml::table parse_toml(const std::filesystem::path& path);
/// A number, also a whole one that a double cannot hold exactly; nothing for another node.
std::optional<double> number_of(const toml::node& node);
/// "<file> line 7: ", or nothing for a node that came from no file.
std::string location(const std::filesystem::path& path, const toml::node& node);

}  // namespace sheaf::config
