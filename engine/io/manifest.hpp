#pragma once
/// manifest.json: what a folder holds. Every manifest has "kind", "version", "files" (size and SHA-256 of each file
/// below the folder) and "sha256", its own checksum: the SHA-256 of the file with 64 zeros in place of the checksum.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sheaf::io {

inline constexpr const char* kManifest = "manifest.json";

/// Lower-case hex SHA-256 of a file's bytes. DataError if it cannot be read.
std::string sha256_file(const std::filesystem::path& path);
std::string sha256_text(std::string_view text);

/// The text of manifest.json for `manifest` (an object), with its checksum.
std::string sealed_text(nlohmann::json manifest);
/// What is wrong with the checksum in `text`, of which `manifest` was parsed; empty if it is right.
std::string seal_fault(std::string text, const nlohmann::json& manifest);

/// The manifest as JSON, or a discarded value if there is none or it does not parse. DataError if it cannot be read.
nlohmann::json try_manifest(const std::filesystem::path& folder);
/// Its kind, or an empty text.
std::string kind_of(const nlohmann::json& manifest);
/// A name in the folder, at any depth, that the manifest does not list; empty if there is none.
std::string foreign_file(const std::filesystem::path& folder, const nlohmann::json& manifest);

/// The whole number at `key`, `least` to 2^31 - 1: the range of every id and count. DataError if it is none: a 6.5 is
/// not read as 6.
int64_t count_at(const nlohmann::json& manifest, const char* key, int64_t least);
/// The finite number at `key`, else DataError.
double number_at(const nlohmann::json& manifest, const char* key);

}  // namespace sheaf::io
