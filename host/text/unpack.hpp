#pragma once
/// Packed files.

#include <cstdint>
#include <filesystem>
#include <string>

namespace sheaf::text {

/// The content of a gzip, zip, zstd or xz file, which is known by how it begins; other bytes as they are. Gzip, zstd
/// and xz may have several members, gzip zeros after the last one; a zip archive holds one file. DataError for a broken
/// file, for other formats that are no text (bzip2, 7z, an Excel workbook, Parquet ..), and for more than 16 MiB that
/// are more than `max_expansion` times as long as the packed bytes.
std::string unpack(const std::filesystem::path& path, std::string bytes, int64_t max_expansion);

}  // namespace sheaf::text
