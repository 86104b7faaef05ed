#include "host/config/toml.hpp"

#include <fmt/format.h>

#include "host/text/csv.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::config {

toml::table parse_toml(const std::filesystem::path& path) {
  const std::string text = text::read_text(path);
  try {
    return toml::parse(text, path.string());
  } catch (const toml::parse_error& error) {
    throw UsageError(fmt::format("{} line {}: {}", path.string(), error.source().begin.line, error.description()),
                     "mend the TOML there");
  }
}

std::string location(const std::filesystem::path& path, const toml::node& node) {
  return node.source().begin.line == 0 ? std::string()
                                       : fmt::format("{} line {}: ", path.string(), node.source().begin.line);
}

}  // namespace sheaf::config
