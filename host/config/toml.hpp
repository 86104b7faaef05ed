#pragma once
/// What the two readers of TOML share: parsing with our errors, and where a node stands.

// In builds without NDEBUG the library asserts what a wrong file breaks ("[+"), before it says so with an error.
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sheaf::config {

/// UsageError with file, line and the parser's reason; also for more than 16 MiB, and where tables and lists are more
/// than 64 deep in one another: thousands of levels would end the parser's stack.
toml::table parse_toml(const std::filesystem::path& path);
/// The same of a text; `source` stands for the file in messages.
toml::table parse_toml_text(std::string_view text, const std::string& source);
/// A number, also a whole one that a double cannot hold exactly; nothing for another node.
std::optional<double> number_of(const toml::node& node);
/// "<file> line 7: ", or nothing for a node that came from no file.
std::string location(const std::filesystem::path& path, const toml::node& node);

}  // namespace sheaf::config
