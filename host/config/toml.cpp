#include "host/config/toml.hpp"

#include <fmt/format.h>

#include "engine/data/shown.hpp"
#include "host/text/read_text.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::config {

toml::table parse_toml(const std::filesystem::path& path) {
  constexpr size_t kMost = size_t{16} << 20;  // four objectives of 256 candidates with all pairs have 5 MiB
  const std::string text = text::read_text(path);
  if (text.size() > kMost) {
    throw UsageError(fmt::format("{}: {} bytes of TOML, more than {}", path.string(), text.size(), kMost),
                     "is this the file that was meant?");
  }
  try {
    return toml::parse(text, path.string());
  } catch (const toml::parse_error& error) {
    throw UsageError(
        fmt::format("{} line {}: {}", path.string(), error.source().begin.line, text::shown(error.description(), 200)),
        "mend the TOML there");
  }
}

std::optional<double> number_of(const toml::node& node) {
  if (const auto whole = node.value_exact<int64_t>()) return static_cast<double>(*whole);
  return node.value_exact<double>();
}

std::string location(const std::filesystem::path& path, const toml::node& node) {
  return node.source().begin.line == 0 ? std::string()
                                       : fmt::format("{} line {}: ", path.string(), node.source().begin.line);
}

}  // namespace sheaf::config
